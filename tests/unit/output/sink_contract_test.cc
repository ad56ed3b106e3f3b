// What every writer of the table promises, whatever its format.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "base/files.h"
#include "clips.h"
#include "output/video_reader.h"

namespace bw {
namespace {

// The smallest path for each writer that this build can use.
std::vector<std::string> usable_names() {
  std::vector<std::string> names;
  for (const WriterInfo& writer : writers()) {
    if (writer.needs_ffmpeg && !built_with_ffmpeg()) continue;
    const std::string& extension = writer.extensions.front();
    names.push_back(extension == ".png" ? "%04d.png" : "clip" + extension);
  }
  return names;
}

class SinkContract : public ::testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] std::filesystem::path path() const { return folder_.file(GetParam()); }
  [[nodiscard]] std::unique_ptr<FrameSink> make(const at::Tensor& clip) const {
    return find_writer(path()).make(path(), test::format_of(clip), {});
  }

  test::TemporaryFolder folder_;
  at::Tensor clip_ = test::noise_clip(9, 64, 64);
};

TEST_P(SinkContract, WholeClip_IsReadBack) {
  test::write_clip(path(), clip_);
  const Video video = read_video(path());
  EXPECT_EQ(video.info.num_frames, 9);
  EXPECT_EQ(video.frames.sizes(), clip_.sizes());
  if (GetParam() != "%04d.png") {
    EXPECT_NEAR(video.info.fps.value_or(0), 12, 1e-9);
  } else {
    EXPECT_FALSE(video.info.fps.has_value());
  }
}

TEST_P(SinkContract, TwoRuns_GiveEqualBytes) {
  const test::TemporaryFolder other;
  test::write_clip(path(), clip_);
  test::write_clip(other.file(GetParam()), clip_);
  std::vector<std::string> names = folder_.names();
  ASSERT_EQ(names.size(), other.names().size());
  for (const std::string& name : names) {
    EXPECT_EQ(sha256_file(folder_.file(name)), sha256_file(other.file(name))) << name;
  }
}

TEST_P(SinkContract, BrokenFrames_AreBugs) {
  struct Row {
    at::Tensor frames;
    const char* reason;
  };
  const std::vector<Row> rows = {
      {clip_.to(at::kFloat), "dtype"},
      {clip_.narrow(1, 0, 32).contiguous(), "height"},
      {clip_.narrow(2, 0, 32).contiguous(), "width"},
      {clip_.narrow(3, 0, 1).contiguous(), "channels"},
      {clip_[0], "rank"},
      {clip_.narrow(0, 0, 0), "no frame"},
      {clip_.transpose(1, 2), "not contiguous"},
      {at::cat({clip_, clip_}), "more frames than announced"},
      {at::Tensor(), "undefined"},
  };
  for (const Row& row : rows) {
    EXPECT_THROW(make(clip_)->write(row.frames), InternalError) << row.reason;
  }
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(SinkContract, MissingFrames_RefuseToFinish) {
  {
    const std::unique_ptr<FrameSink> sink = make(clip_);
    sink->write(clip_.narrow(0, 0, 8).contiguous());
    EXPECT_THROW(sink->finish(), InternalError);
  }
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(SinkContract, WithoutFinish_NoFileStays) {
  { make(clip_)->write(clip_); }
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(SinkContract, ExistingFile_StaysUntilFinish) {
  test::write_clip(path(), clip_);
  const std::string before = sha256_file(folder_.file(folder_.names().front()));
  { make(clip_)->write(255 - clip_); }
  EXPECT_EQ(sha256_file(folder_.file(folder_.names().front())), before);
}

TEST_P(SinkContract, UnwritableFolder_IsOutputError) {
  const auto blocked = folder_.file("file") / GetParam();
  std::fclose(std::fopen(folder_.file("file").c_str(), "w"));  // a file where a folder is wanted
  EXPECT_THROW(find_writer(blocked).check(blocked, test::format_of(clip_), {}), OutputError);
  EXPECT_THROW(std::ignore = find_writer(blocked).make(blocked, test::format_of(clip_), {}),
               OutputError);
}

TEST_P(SinkContract, MissingFolder_IsCreated) {
  const auto nested = folder_.file("a") / "b" / GetParam();
  test::write_clip(nested, clip_);
  EXPECT_EQ(read_video(nested).info.num_frames, 9);
}

// Files may not grow beyond `bytes` while this lives, as if the disk were full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_P(SinkContract, FullDisk_IsOutputErrorAndNoFileStays) {
  for (const rlim_t bytes : {0, 1000, 9000}) {  // at the head, in the middle, late
    std::string message;
    {
      const FullDisk full(bytes);
      try {
        test::write_clip(path(), clip_);
      } catch (const OutputError& error) {
        message = error.what();
      }
    }
    EXPECT_NE(message.find(folder_.path().string()), std::string::npos) << bytes << ": " << message;
    EXPECT_NE(message.find("File too large"), std::string::npos) << bytes << ": " << message;
    EXPECT_TRUE(folder_.names().empty()) << bytes;
  }
}

TEST_P(SinkContract, FullDiskBehindThread_SurfacesToo) {
  {
    const FullDisk full(1000);
    const auto run = [&] {
      const std::unique_ptr<FrameSink> sink = make_threaded_sink(make(clip_));
      for (std::int64_t i = 0; i < clip_.size(0); ++i) sink->write(clip_.narrow(0, i, 1));
      sink->finish();
    };
    EXPECT_THROW(run(), OutputError);
  }
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(SinkContract, Metadata_RoundTripsWhereKept) {
  const std::string title =
      "ein roter Fuchs läuft durch den Schnee — 狐 🦊 \"quoted\" \\ 'single'";
  std::string json = "{\"prompt\": \"" + std::string("狐🦊ä") + "\", \"decisions\": [";
  while (json.size() < 20'000) json += "0,1,";
  json += "0], \"text\": \"a=b;c\\nd # e\"}";
  test::write_clip(path(), clip_, {.metadata = json, .title = title});
  const VideoMetadata metadata = read_metadata(path());
  if (find_writer(path()).keeps_metadata) {
    EXPECT_EQ(metadata.title, title);
    EXPECT_EQ(metadata.comment, json);
  } else {
    EXPECT_EQ(metadata.title + metadata.comment, "");
  }
}

TEST_P(SinkContract, NoMetadata_ReadsEmpty) {
  test::write_clip(path(), clip_);
  EXPECT_EQ(read_metadata(path()).title, "");
  EXPECT_EQ(read_metadata(path()).comment, "");
}

INSTANTIATE_TEST_SUITE_P(Writers, SinkContract, ::testing::ValuesIn(usable_names()),
                         [](const auto& row) { return std::string(find_writer(row.param).name); });

}  // namespace
}  // namespace bw
