# The schema of model.json is part of the program: a bundle is checked the same way wherever it runs.
set(BW_MODEL_SCHEMA_FILE "${CMAKE_SOURCE_DIR}/configs/schema/model.schema.json")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${BW_MODEL_SCHEMA_FILE}")
file(READ "${BW_MODEL_SCHEMA_FILE}" BW_MODEL_SCHEMA)
set(bundle_schema_source "${CMAKE_BINARY_DIR}/generated/model_schema.cc")
configure_file(bundle/model_schema.cc.in "${bundle_schema_source}" @ONLY)

file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} bundle/*.cc)
bw_library(bundle PCH torch/script.h SOURCES ${sources}
  DEPS bw_torchscript bw_kernels bw_base LibTorch::torch SentencePiece::sentencepiece)
target_sources(bw_bundle PRIVATE "${bundle_schema_source}")
target_link_libraries(bw_bundle PRIVATE valijson)
# It needs no torch.
set_source_files_properties("${bundle_schema_source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
# GCC 12 reports false overflows inside std::string operator+ under these names too.
target_compile_options(bw_bundle PRIVATE -Wno-stringop-overflow)
set_source_files_properties(bundle/manifest_reader.cc bundle/manifest_references.cc bundle/model_schema.cc
  PROPERTIES COMPILE_OPTIONS "-Wno-array-bounds;-Wno-maybe-uninitialized")
# Note: [FLAGS_minloglevel] libc10 and libsentencepiece both export a variable of this name, 4 bytes here and 32 there. The
# first library in the search order gives it to both: were that libc10, sentencepiece's would overwrite a mutex of c10, and
# the first call of TorchScript would never return. c10 takes its address only, so the larger one serves both. Options stand
# before libraries on the command line, which fixes the order whatever the target links. tests/unit/bundle/text_test.cc
# checks it.
get_filename_component(sentencepiece_folder "${SentencePiece_LIBRARY}" DIRECTORY)
target_link_options(bw_bundle INTERFACE
  "SHELL:-Wl,--no-as-needed -L${sentencepiece_folder} -lsentencepiece -Wl,--as-needed")
