# The schema of model.json is part of the program: a bundle is checked the same way wherever it runs.
set(BW_MODEL_SCHEMA_FILE "${CMAKE_SOURCE_DIR}/configs/schema/model.schema.json")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${BW_MODEL_SCHEMA_FILE}")
file(READ "${BW_MODEL_SCHEMA_FILE}" BW_MODEL_SCHEMA)
set(bundle_schema_source "${CMAKE_BINARY_DIR}/generated/model_schema.cc")
configure_file(bundle/model_schema.cc.in "${bundle_schema_source}" @ONLY)

file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} bundle/*.cc)
bw_library(bundle PCH torch/script.h SOURCES ${sources}
  DEPS bw_torchscript bw_kernels bw_base LibTorch::torch PkgConfig::SentencePiece)
target_sources(bw_bundle PRIVATE "${bundle_schema_source}")
target_link_libraries(bw_bundle PRIVATE valijson)
# It needs no torch.
set_source_files_properties("${bundle_schema_source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
# GCC 12 reports false overflows inside std::string operator+ under these names too.
target_compile_options(bw_bundle PRIVATE -Wno-stringop-overflow)
set_source_files_properties(bundle/manifest_reader.cc bundle/manifest_references.cc bundle/model_schema.cc
  PROPERTIES COMPILE_OPTIONS -Wno-array-bounds)
