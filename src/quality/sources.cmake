bw_table_sources(quality/metrics.inc BW_METRIC quality metrics)
bw_library(quality PCH ATen/ATen.h
  SOURCES ${metrics} quality/compare.cc quality/gate.cc quality/metrics.cc
  DEPS bw_base LibTorch::torch)
