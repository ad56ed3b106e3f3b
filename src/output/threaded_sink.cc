#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "output/frame_sink.h"

namespace bw {
namespace {

// One chunk is being encoded while one waits and the decoder makes the next: more would only hold
// memory.
constexpr std::size_t kQueueLength = 2;

class ThreadedSink final : public FrameSink {
 public:
  explicit ThreadedSink(std::unique_ptr<FrameSink> sink)
      : sink_(std::move(sink)), thread_([this] { run(); }) {}

  ~ThreadedSink() override {
    {
      const std::lock_guard lock(mutex_);
      queue_.clear();
      closed_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void write(const at::Tensor& frames) override {
    std::unique_lock lock(mutex_);
    BW_CHECK(!closed_, "write after finish");
    changed_.wait(lock, [this] { return failure_ || queue_.size() < kQueueLength; });
    if (failure_) std::rethrow_exception(failure_);
    queue_.push_back(frames);
    lock.unlock();
    changed_.notify_all();
  }

  void finish() override {
    {
      const std::lock_guard lock(mutex_);
      BW_CHECK(!closed_, "finish called twice");
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    sink_->finish();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const at::Tensor frames = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      changed_.notify_all();
      try {
        sink_->write(frames);
      } catch (...) {
        const std::lock_guard failed(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
        return;
      }
    }
  }

  std::unique_ptr<FrameSink> sink_;  // used by the thread only, until it is joined
  std::mutex mutex_;                 // guards queue_, closed_, failure_
  std::condition_variable changed_;
  std::deque<at::Tensor> queue_;
  bool closed_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: starts when all else exists
};

}  // namespace

std::unique_ptr<FrameSink> make_threaded_sink(std::unique_ptr<FrameSink> sink) {
  return std::make_unique<ThreadedSink>(std::move(sink));
}

}  // namespace bw
