file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} torchscript/*.cc)
bw_library(torchscript PCH torch/script.h SOURCES ${sources} DEPS bw_base LibTorch::torch)
