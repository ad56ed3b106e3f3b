#include <atomic>
#include <future>

#include "base/error.h"
#include "clips.h"

namespace bw {
namespace {

// What happened to the sink behind the thread; outlives it.
struct Record {
  std::vector<std::int64_t> firsts;  // first byte of every chunk
  bool is_finished = false;
  bool is_destroyed = false;
  std::int64_t fails_at = -1;  // number of the write that throws
  bool fails_in_finish = false;
  std::promise<void> gate;  // the first write waits for it when `waits`
  bool waits = false;
};

class FakeSink final : public FrameSink {
 public:
  explicit FakeSink(Record& record) : record_(record) {}
  ~FakeSink() override { record_.is_destroyed = true; }
  void write(const at::Tensor& frames) override {
    const auto number = static_cast<std::int64_t>(record_.firsts.size());
    if (record_.waits && number == 0) record_.gate.get_future().wait();
    if (number == record_.fails_at) throw OutputError("disk full");
    record_.firsts.push_back(frames.flatten()[0].item<std::int64_t>());
  }
  void finish() override {
    if (record_.fails_in_finish) throw OutputError("no trailer");
    record_.is_finished = true;
  }

 private:
  Record& record_;
};

at::Tensor chunk(int value) { return at::full({1, 2, 2, 3}, value, at::kByte); }

TEST(ThreadedSink, Chunks_ArriveInOrderThenFinish) {
  Record record;
  const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  for (int i = 0; i < 20; ++i) sink->write(chunk(i));
  sink->finish();
  ASSERT_EQ(record.firsts.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(record.firsts[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(record.is_finished);
}

TEST(ThreadedSink, FailingWrite_SurfacesAndNothingIsFinished) {
  Record record;
  record.fails_at = 1;
  const auto run = [&] {
    const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
    for (int i = 0; i < 20; ++i) sink->write(chunk(i));
    sink->finish();
  };
  EXPECT_THROW(run(), OutputError);
  EXPECT_EQ(record.firsts.size(), 1U);
  EXPECT_FALSE(record.is_finished);
  EXPECT_TRUE(record.is_destroyed);
}

TEST(ThreadedSink, FailureInLastWrite_SurfacesInFinish) {
  Record record;
  record.fails_at = 0;
  const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  sink->write(chunk(0));
  EXPECT_THROW(sink->finish(), OutputError);
  EXPECT_FALSE(record.is_finished);
}

TEST(ThreadedSink, FailingFinish_Surfaces) {
  Record record;
  record.fails_in_finish = true;
  const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  sink->write(chunk(0));
  EXPECT_THROW(sink->finish(), OutputError);
}

TEST(ThreadedSink, DestroyedEarly_DropsWhatWaits) {
  Record record;
  record.waits = true;
  std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  sink->write(chunk(0));
  sink->write(chunk(1));
  std::thread opener([&] { record.gate.set_value(); });
  sink.reset();
  opener.join();
  EXPECT_TRUE(record.is_destroyed);
  EXPECT_FALSE(record.is_finished);
}

TEST(ThreadedSink, SlowSink_HoldsTheDecoderBack) {
  Record record;
  record.waits = true;
  const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  std::atomic<int> written = 0;
  std::thread decoder([&] {
    for (int i = 0; i < 10; ++i) {
      sink->write(chunk(i));
      ++written;
    }
  });
  // One chunk in the sink and two in the queue: no more than that may have been taken while the
  // sink is shut.
  while (written < 2) std::this_thread::yield();
  EXPECT_LE(written, 3);
  record.gate.set_value();
  decoder.join();
  sink->finish();
  EXPECT_EQ(record.firsts.size(), 10U);
}

TEST(ThreadedSink, Misuse_IsABug) {
  Record record;
  const std::unique_ptr<FrameSink> sink = make_threaded_sink(std::make_unique<FakeSink>(record));
  sink->finish();
  EXPECT_THROW(sink->finish(), InternalError);
  EXPECT_THROW(sink->write(chunk(0)), InternalError);
}

}  // namespace
}  // namespace bw
