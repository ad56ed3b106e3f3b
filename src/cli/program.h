// The command line as a whole: declares every subcommand and runs the one that was named.
#pragma once

namespace bw {

// Parses and runs; returns the exit code of a success or of --help. Throws the typed errors of
// base/error.h.
int run_program(int argc, const char* const* argv);

}  // namespace bw
