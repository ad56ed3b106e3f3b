// Seconds of every scheduler step: of the CPU by its clock, of a device by marks in its stream, so
// that measuring waits for nothing. Read generate.cc for the loop.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <vector>

#include "base/stopwatch.h"

namespace bw {

class StepClock {
 public:
  StepClock(c10::Device device, std::int64_t num_steps);

  // Around the work of one evaluation; a step may have several.
  void begin();
  void end(std::int64_t step);
  // Waits for the device.
  [[nodiscard]] std::vector<double> seconds() const;

 private:
  struct Span {
    std::int64_t step = 0;
    c10::Event begin;
    c10::Event end;
  };

  [[nodiscard]] c10::Event mark() const;

  c10::Device device_;
  std::vector<double> seconds_;
  Stopwatch watch_;
  std::vector<Span> spans_;
  std::vector<c10::Event> open_;  // none or one
};

}  // namespace bw
