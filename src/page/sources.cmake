file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} page/*.cc)
bw_library(page SOURCES ${sources} DEPS bw_base)
