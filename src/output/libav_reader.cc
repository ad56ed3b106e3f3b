#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "output/libav.h"
#include "output/readers.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxSide = 16384;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw InputError(path.string() + ": cannot be read as video: " + what);
}

// Local files only: a playlist must not make the program fetch anything.
UniqueInput open_input(const fs::path& path) {
  quiet_libav();
  if (!fs::is_regular_file(path)) fail(path, "there is no such file");
  AVFormatContext* context = nullptr;
  AvDictionary settings;
  settings.set("protocol_whitelist", "file");
  const int code = avformat_open_input(&context, av_file_url(path.string()).c_str(), nullptr,
                                       settings.address());
  if (code < 0) fail(path, av_error_text(code));
  return UniqueInput(context);
}

struct VideoStream {
  const AVStream* stream = nullptr;
  const AVCodec* decoder = nullptr;
};

VideoStream find_video_stream(AVFormatContext* input, const fs::path& path) {
  const int probed = avformat_find_stream_info(input, nullptr);
  if (probed < 0) fail(path, av_error_text(probed));
  VideoStream found;
  const int index = av_find_best_stream(input, AVMEDIA_TYPE_VIDEO, -1, -1, &found.decoder, 0);
  if (index == AVERROR_DECODER_NOT_FOUND) fail(path, "this FFmpeg has no decoder for its codec");
  if (index < 0) fail(path, "it has no video stream");
  found.stream = input->streams[index];
  return found;
}

// Demuxes the file once: only MP4 keeps the number of frames in its head.
std::int64_t count_packets(const fs::path& path) {
  const UniqueInput input = open_input(path);
  const int index = find_video_stream(input.get(), path).stream->index;
  const UniquePacket packet(av_packet_alloc());
  BW_CHECK(packet != nullptr);
  std::int64_t count = 0;
  while (av_read_frame(input.get(), packet.get()) >= 0) {
    if (packet->stream_index == index) ++count;
    av_packet_unref(packet.get());
  }
  return count;
}

int matrix_of(AVColorSpace colorspace) {
  switch (colorspace) {
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU709;
  }
}

class LibavReader final : public VideoReader {
 public:
  explicit LibavReader(const fs::path& path) : path_(path), input_(open_input(path)) {
    const VideoStream video = find_video_stream(input_.get(), path);
    index_ = video.stream->index;
    decoder_.reset(avcodec_alloc_context3(video.decoder));
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    BW_CHECK(decoder_ && packet_ && frame_);
    check(avcodec_parameters_to_context(decoder_.get(), video.stream->codecpar));
    check(avcodec_open2(decoder_.get(), video.decoder, nullptr));
    info_.width = decoder_->width;
    info_.height = decoder_->height;
    if (info_.width < 1 || info_.height < 1 || info_.width > kMaxSide || info_.height > kMaxSide) {
      fail(path_, "its size is outside 1 to " + std::to_string(kMaxSide));
    }
    const AVRational rate = video.stream->avg_frame_rate;
    if (rate.num > 0 && rate.den > 0) info_.fps = av_q2d(rate);
    info_.num_frames = count_packets(path);
    if (info_.num_frames == 0) fail(path_, "it has no frames");
    rgb_ = make_frame(info_.width, info_.height, AV_PIX_FMT_RGB24);
  }

  [[nodiscard]] const VideoInfo& info() const override { return info_; }

  [[nodiscard]] at::Tensor read(std::int64_t max_frames) override {
    const std::int64_t capacity = std::min(max_frames, info_.num_frames);
    at::Tensor frames = at::empty({capacity, info_.height, info_.width, 3}, at::kByte);
    std::int64_t count = 0;
    while (count < capacity && next_frame()) {
      store(frames[count]);
      ++count;
    }
    return frames.narrow(0, 0, count);
  }

 private:
  void check(int code) const {
    if (code < 0) fail(path_, av_error_text(code));
  }

  // Decodes into frame_; false at the end.
  bool next_frame() {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code == AVERROR_EOF) return false;
      if (code != AVERROR(EAGAIN)) {
        check(code);
        return true;
      }
      feed();
    }
  }

  // Gives the decoder the next packet of the stream, or the news that there is none.
  void feed() {
    for (;;) {
      const int code = av_read_frame(input_.get(), packet_.get());
      if (code == AVERROR_EOF) {
        check(avcodec_send_packet(decoder_.get(), nullptr));
        return;
      }
      check(code);
      const bool is_ours = packet_->stream_index == index_;
      const int sent = is_ours ? avcodec_send_packet(decoder_.get(), packet_.get()) : 0;
      av_packet_unref(packet_.get());
      check(sent);
      if (is_ours) return;
    }
  }

  // Converts frame_ into `target`, uint8 [H,W,3].
  void store(const at::Tensor& target) {
    if (frame_->width != info_.width || frame_->height != info_.height) {
      fail(path_, "the size changes within the clip");
    }
    if (!scaler_ || frame_->format != source_) {
      source_ = static_cast<AVPixelFormat>(frame_->format);
      scaler_ = make_scaler(info_.width, info_.height,
                            {.source = source_,
                             .target = AV_PIX_FMT_RGB24,
                             .colorspace = matrix_of(frame_->colorspace),
                             .is_full_range = frame_->color_range == AVCOL_RANGE_JPEG});
    }
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, info_.height, rgb_->data,
              rgb_->linesize);
    const auto row = static_cast<std::size_t>(info_.width) * 3;
    auto* pixels = target.data_ptr<std::uint8_t>();
    for (int y = 0; y < info_.height; ++y, pixels += row) {
      std::memcpy(pixels, rgb_->data[0] + static_cast<std::ptrdiff_t>(y) * rgb_->linesize[0], row);
    }
  }

  fs::path path_;
  UniqueInput input_;
  UniqueCodecContext decoder_;
  UniquePacket packet_;
  UniqueFrame frame_;
  UniqueFrame rgb_;
  UniqueScaler scaler_;  // for source_, made at the first frame
  AVPixelFormat source_ = AV_PIX_FMT_NONE;
  int index_ = 0;
  VideoInfo info_;
};

std::string tag(const AVFormatContext& input, const char* key) {
  const AVDictionaryEntry* entry = av_dict_get(input.metadata, key, nullptr, 0);
  return entry == nullptr ? "" : entry->value;
}

}  // namespace

std::unique_ptr<VideoReader> open_libav_video(const fs::path& path) {
  return std::make_unique<LibavReader>(path);
}

VideoMetadata read_libav_metadata(const fs::path& path) {
  const UniqueInput input = open_input(path);
  return {tag(*input, "title"), tag(*input, "comment")};
}

}  // namespace bw
