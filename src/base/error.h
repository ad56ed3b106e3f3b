// Typed errors: each class is one exit code of the program. Thrown where the fault is known, caught
// once in main.cc. A message says what is wrong, the value, the limit and the remedy, and names the
// flag or the JSON path.
#pragma once

#include <stdexcept>
#include <string>

namespace bw {

enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,
  kBadInput = 3,
  kResources = 4,
  kOutput = 5,
  kGate = 6,
  kBug = 70,
  kInterrupted = 130,
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// A flag or its value is wrong (exit 2).
class UsageError final : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::kUsage, message) {}
};

// A bundle, config, prompt file or video cannot be used (exit 3).
class InputError final : public Error {
 public:
  explicit InputError(const std::string& message) : Error(ExitCode::kBadInput, message) {}
};

// Memory, device or cache budget does not suffice (exit 4).
class ResourceError final : public Error {
 public:
  explicit ResourceError(const std::string& message) : Error(ExitCode::kResources, message) {}
};

// The result could not be written (exit 5).
class OutputError final : public Error {
 public:
  explicit OutputError(const std::string& message) : Error(ExitCode::kOutput, message) {}
};

// A quality gate, or --fail-if-inert, did not hold (exit 6).
class GateError final : public Error {
 public:
  explicit GateError(const std::string& message) : Error(ExitCode::kGate, message) {}
};

// The program itself is wrong (exit 70).
class InternalError final : public Error {
 public:
  explicit InternalError(const std::string& message) : Error(ExitCode::kBug, message) {}
};

// The user asked to stop (exit 130).
class Interrupted final : public Error {
 public:
  explicit Interrupted(const std::string& message) : Error(ExitCode::kInterrupted, message) {}
};

}  // namespace bw
