bw_table_sources(run/calibrations.inc BW_CALIBRATION run/calibrations calibrations)
file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} run/*.cc)
if(TARGET bw_bundle AND TARGET bw_schedule AND TARGET bw_cache AND TARGET bw_output AND TARGET bw_quality AND TARGET bw_page)
  bw_library(run PCH ATen/ATen.h SOURCES ${calibrations} ${sources}
    DEPS bw_bundle bw_schedule bw_cache bw_output bw_quality bw_page)
  target_compile_definitions(bw_run PUBLIC
    BW_VERSION="${PROJECT_VERSION}" BW_DEFAULT_BUNDLE="${CMAKE_SOURCE_DIR}/models/default/bundle")
endif()
