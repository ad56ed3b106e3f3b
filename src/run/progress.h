// What a run tells while it works. Everything goes to stderr; stdout belongs to results.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace bw {

class Observer {
 public:
  virtual ~Observer() = default;
  // One line worth reading once (what was cut from a prompt, which preset applies).
  virtual void note(const std::string& message) = 0;
  // Scheduler steps done so far; `what` says what the step did ("computed", "reused").
  virtual void step(std::int64_t done, std::int64_t total, std::string_view what) = 0;
  virtual void frames(std::int64_t done, std::int64_t total) = 0;
  // True once the user asked to stop; the run ends at the next step or chunk.
  [[nodiscard]] virtual bool stop_requested() const = 0;
};

// Says nothing; stops when the observer around it does. For runs that are measured.
class QuietObserver : public Observer {
 public:
  explicit QuietObserver(const Observer& outer) : outer_(outer) {}
  void note(const std::string& /*message*/) override {}
  void step(std::int64_t /*done*/, std::int64_t /*total*/, std::string_view /*what*/) override {}
  void frames(std::int64_t /*done*/, std::int64_t /*total*/) override {}
  [[nodiscard]] bool stop_requested() const override { return outer_.stop_requested(); }

 private:
  const Observer& outer_;
};

// "auto" (a bar on a terminal, plain lines elsewhere), "bar", "plain", "json" (one object a line)
// or "none". Stops on SIGINT and SIGTERM once install_signal_handlers() was called.
[[nodiscard]] std::unique_ptr<Observer> make_observer(std::string_view mode);

void install_signal_handlers();

}  // namespace bw
