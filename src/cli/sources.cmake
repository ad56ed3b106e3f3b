bw_table_sources(cli/commands.inc BW_COMMAND cli commands)
if(TARGET bw_run)
  bw_library(cli PCH CLI/CLI.hpp SOURCES ${commands} cli/compare_output.cc cli/own_process.cc cli/run_flags.cc cli/program.cc DEPS bw_run CLI11::CLI11)
endif()
