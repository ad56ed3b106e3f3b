#include "run/step_clock.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/check.h"

namespace bw {

StepClock::StepClock(c10::Device device, std::int64_t num_steps)
    : device_(device), seconds_(static_cast<std::size_t>(num_steps), 0) {}

c10::Event StepClock::mark() const {
  c10::Event event(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
  event.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  return event;
}

void StepClock::begin() {
  if (device_.is_cpu()) {
    watch_ = Stopwatch();
    return;
  }
  open_.clear();
  open_.push_back(mark());
}

void StepClock::end(std::int64_t step) {
  if (device_.is_cpu()) {
    seconds_[static_cast<std::size_t>(step)] += watch_.seconds();
    return;
  }
  BW_CHECK(open_.size() == 1);
  spans_.push_back({step, std::move(open_.front()), mark()});
  open_.clear();
}

std::vector<double> StepClock::seconds() const {
  std::vector<double> result = seconds_;
  for (const Span& span : spans_) {
    span.end.synchronize();
    result[static_cast<std::size_t>(span.step)] += span.begin.elapsedTime(span.end) / 1e3;
  }
  return result;
}

}  // namespace bw
