bw_table_sources(quality/metrics.inc BW_METRIC quality metrics)
bw_library(quality PCH ATen/ATen.h
  SOURCES ${metrics} quality/clip_set.cc quality/compare.cc quality/gate.cc quality/junit.cc quality/metrics.cc quality/temporal.cc
  DEPS bw_torchscript bw_base LibTorch::torch)
