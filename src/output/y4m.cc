// Y4M: uncompressed Y'CbCr that every video tool reads; needs no FFmpeg. The format has no tag for
// the matrix and none for text: the matrix is BT.709, limited range (tagged XCOLORRANGE), and title
// and metadata are left out.
//   444p10  10 bits, every RGB value survives (see bt709.h); the default
//   444     8 bits, off by at most 2
//   420     8 bits, chroma halved both ways: the mean of 2x2 pixels, so its samples lie in their
//   middle ("420jpeg")
#include <ATen/ATen.h>

#include <utility>

#include "output/bt709.h"
#include "output/frame_checks.h"
#include "output/frame_rate.h"
#include "output/frame_sink.h"
#include "output/pending_stream.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> y4m_codecs() { return {"444p10", "444", "420"}; }

void check_y4m(const fs::path& path, const VideoFormat& format, const EncodeOptions& options) {
  check_video_format(format);
  reject_quality_options(options, "Y4M");
  if (choose_codec(options, y4m_codecs()) == "420") require_even_size(format, "4:2:0");
  check_writable(path);
}

class Y4mSink final : public FrameSink {
 public:
  Y4mSink(const fs::path& path, const VideoFormat& format, std::string codec)
      : codec_(std::move(codec)), counter_(format), file_(path) {
    const FrameRate rate = to_frame_rate(format.fps);
    file_.write("YUV4MPEG2 W" + std::to_string(format.width) + " H" +
                std::to_string(format.height) + " F" + std::to_string(rate.numerator) + ":" +
                std::to_string(rate.denominator) + " Ip A1:1 C" +
                (codec_ == "420" ? "420jpeg" : codec_) + " XCOLORRANGE=LIMITED\n");
  }

  void write(const at::Tensor& frames) override {
    counter_.add(frames);
    for (std::int64_t i = 0; i < frames.size(0); ++i) write_frame(frames.narrow(0, i, 1));
  }

  void finish() override {
    counter_.finish();
    file_.commit();
  }

 private:
  void write_frame(const at::Tensor& frame) {  // [1,H,W,3]
    const CodeRange range{.bits = codec_ == "444p10" ? 10 : 8};
    const at::Tensor planes = rgb_to_ycbcr(frame, range);  // [1,3,H,W]
    file_.write("FRAME\n");
    write_plane(planes.narrow(1, 0, 1), range.bits);
    const at::Tensor chroma = planes.narrow(1, 1, 2);
    write_plane(codec_ == "420" ? at::avg_pool2d(chroma, {2, 2}) : chroma, range.bits);
  }

  void write_plane(const at::Tensor& plane, int bits) {
    // 10 bits are kept in 16, lowest byte first (as the machine has them).
    const at::Tensor codes = plane.round().to(bits > 8 ? at::kShort : at::kByte).contiguous();
    file_.write({static_cast<const char*>(codes.const_data_ptr()), codes.nbytes()});
  }

  std::string codec_;
  FrameCounter counter_;
  PendingStream file_;
};

std::unique_ptr<FrameSink> make_y4m(const fs::path& path, const VideoFormat& format,
                                    const EncodeOptions& options) {
  check_y4m(path, format, options);
  return std::make_unique<Y4mSink>(path, format, choose_codec(options, y4m_codecs()));
}

}  // namespace

WriterInfo y4m_writer() {
  return {.name = "y4m",
          .summary = "uncompressed Y'CbCr, lossless at 444p10; keeps no metadata",
          .extensions = {".y4m"},
          .codecs = y4m_codecs(),
          .needs_ffmpeg = false,
          .keeps_metadata = false,
          .check = check_y4m,
          .make = make_y4m};
}

}  // namespace bw
