// Time, bytes and FLOP of operators while a scope lasts. Read profile.h for what is made of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace bw {

inline constexpr std::string_view kInt8Linear = "bw::linear, int8";

struct OperatorCost {
  std::int64_t calls = 0;
  double seconds = 0;
  double bytes = 0;  // of its tensors, arguments and results, each counted once
  double flop = 0;   // of matrix products and attention; 0 for all others
};

// Observes the operators that this thread calls, by name; a linear layer in int8 is
// kInt8Linear, whatever the operator is called. An operator that another one calls is
// part of that one.
class OperatorRecorder {
 public:
  OperatorRecorder();
  ~OperatorRecorder();
  OperatorRecorder(const OperatorRecorder&) = delete;
  OperatorRecorder& operator=(const OperatorRecorder&) = delete;

  // What came before does not count.
  void restart();
  [[nodiscard]] const std::map<std::string, OperatorCost>& costs() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
  std::uint64_t handle_ = 0;
};

}  // namespace bw
