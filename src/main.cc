// Parse, run, and turn an error into one line and an exit code.
#include <cstdio>
#include <exception>
#include <new>

#include "base/error.h"
#include "cli/program.h"

namespace {

int fail(bw::ExitCode code, const char* message) {
  std::fprintf(stderr, "bwcache-gen: %s\n", message);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int code = bw::run_program(argc, argv);
    // stdout carries the result; a full disk or a closed pipe behind it must not look like success.
    if (std::fflush(stdout) != 0) return fail(bw::ExitCode::kOutput, "stdout cannot be written");
    return code;
  } catch (const bw::Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(bw::ExitCode::kResources, "out of memory");
  } catch (const std::exception& error) {
    return fail(bw::ExitCode::kBug, error.what());
  }
}
