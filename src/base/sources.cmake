file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} base/*.cc)
bw_library(base SOURCES ${sources} DEPS nlohmann_json::nlohmann_json OpenSSL::Crypto)
