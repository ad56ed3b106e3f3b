bw_table_sources(schedule/schedulers.inc BW_SCHEDULER schedule rows)
bw_library(schedule PCH ATen/ATen.h DEPS bw_base LibTorch::torch
  SOURCES schedule/schedulers.cc schedule/flow_config.cc schedule/flow_schedule.cc
          schedule/sigma_table.cc ${rows})
