#include "run/progress.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>

#include "base/json.h"
#include "base/stopwatch.h"

namespace bw {
namespace {

// Set by the signal handler, so it must outlive every observer and be lock-free.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void handle_signal(int /*signal*/) {
  // A second signal means the user does not want to wait for the step to end.
  if (interrupted.exchange(true)) ::_exit(130);
}

// Remaining seconds, from the mean time of the steps so far.
double remaining_seconds(double elapsed, std::int64_t done, std::int64_t total) {
  return done == 0 ? 0 : elapsed / static_cast<double>(done) * static_cast<double>(total - done);
}

class SilentObserver : public Observer {
 public:
  void note(const std::string& /*message*/) override {}
  void step(std::int64_t, std::int64_t, std::string_view) override {}
  void frames(std::int64_t, std::int64_t) override {}
  [[nodiscard]] bool stop_requested() const override { return interrupted; }
};

class PlainObserver final : public SilentObserver {
 public:
  void note(const std::string& message) override { std::fprintf(stderr, "%s\n", message.c_str()); }

  void step(std::int64_t done, std::int64_t total, std::string_view what) override {
    const std::int64_t tenth = done * 10 / total;
    if (tenth == last_tenth_) return;  // ten lines a run, however many steps
    last_tenth_ = tenth;
    std::fprintf(stderr, "step %ld/%ld %.*s, %.1f s, about %.0f s left\n", static_cast<long>(done),
                 static_cast<long>(total), static_cast<int>(what.size()), what.data(),
                 watch_.seconds(), remaining_seconds(watch_.seconds(), done, total));
  }

  void frames(std::int64_t done, std::int64_t total) override {
    if (done == total) std::fprintf(stderr, "%ld frames written\n", static_cast<long>(total));
  }

 private:
  Stopwatch watch_;
  std::int64_t last_tenth_ = -1;
};

class BarObserver final : public SilentObserver {
 public:
  ~BarObserver() override { close_line(); }

  void note(const std::string& message) override {
    close_line();
    std::fprintf(stderr, "%s\n", message.c_str());
  }

  void step(std::int64_t done, std::int64_t total, std::string_view what) override {
    draw("denoising", done, total, what);
  }

  void frames(std::int64_t done, std::int64_t total) override {
    draw("decoding ", done, total, "");
    if (done == total) close_line();
  }

 private:
  void draw(const char* title, std::int64_t done, std::int64_t total, std::string_view what) {
    constexpr std::int64_t kWidth = 30;
    const std::string bar(static_cast<std::size_t>(done * kWidth / total), '#');
    std::fprintf(stderr, "\r%s [%-30s] %ld/%ld %.0f s left %-10.*s", title, bar.c_str(),
                 static_cast<long>(done), static_cast<long>(total),
                 remaining_seconds(watch_.seconds(), done, total), static_cast<int>(what.size()),
                 what.data());
    std::fflush(stderr);
    open_ = true;
  }
  void close_line() {
    if (open_) std::fprintf(stderr, "\n");
    open_ = false;
  }

  Stopwatch watch_;
  bool open_ = false;
};

class JsonObserver final : public SilentObserver {
 public:
  void note(const std::string& message) override {
    emit({{"event", "note"}, {"message", message}});
  }
  void step(std::int64_t done, std::int64_t total, std::string_view what) override {
    emit({{"event", "step"},
          {"done", done},
          {"total", total},
          {"what", what},
          {"seconds", watch_.seconds()},
          {"seconds_left", remaining_seconds(watch_.seconds(), done, total)}});
  }
  void frames(std::int64_t done, std::int64_t total) override {
    emit({{"event", "frames"}, {"done", done}, {"total", total}, {"seconds", watch_.seconds()}});
  }

 private:
  static void emit(const Json& event) {
    const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  Stopwatch watch_;
};

}  // namespace

std::unique_ptr<Observer> make_observer(std::string_view mode) {
  if (mode == "auto") mode = ::isatty(STDERR_FILENO) != 0 ? "bar" : "plain";
  if (mode == "bar") return std::make_unique<BarObserver>();
  if (mode == "json") return std::make_unique<JsonObserver>();
  if (mode == "none") return std::make_unique<SilentObserver>();
  return std::make_unique<PlainObserver>();
}

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = handle_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a file too large is a write error with a message, not a death
}

}  // namespace bw
