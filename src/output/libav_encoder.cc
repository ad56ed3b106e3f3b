#include "output/libav_encoder.h"

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "output/frame_checks.h"
#include "output/frame_rate.h"
#include "output/libav.h"
#include "output/libav_codecs.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

bool has_encoder(const std::string& encoder) {
  return avcodec_find_encoder_by_name(encoder.c_str()) != nullptr;
}

AVPixelFormat pixel_format(const VideoCodec& codec) {
  const AVPixelFormat format = av_get_pix_fmt(codec.pixel_format.c_str());
  BW_CHECK(format != AV_PIX_FMT_NONE, codec.pixel_format);
  return format;
}

AVRational to_rational(const FrameRate& rate) {
  return {static_cast<int>(rate.numerator), static_cast<int>(rate.denominator)};
}

// The movie's clock ticks as often as the track's, else the duration in the file's head would be
// rounded to 1 ms. The muxer doubles the frame rate's numerator until it is at least 10000; we do
// the same.
std::string movie_timescale(const FrameRate& rate) {
  constexpr std::int64_t kLeast = 10000;
  std::int64_t scale = rate.numerator;
  while (scale < kLeast) scale *= 2;
  return std::to_string(scale);
}

class LibavSink final : public FrameSink {
 public:
  LibavSink(const fs::path& path, const VideoFormat& format, const EncodeOptions& options,
            const VideoCodec& codec)
      : file_(path), counter_(format), format_(format), rate_(to_frame_rate(format.fps)) {
    open_encoder(codec, options);
    rgb_ = make_frame(format.width, format.height, AV_PIX_FMT_RGB24);
    picture_ = make_frame(format.width, format.height, encoder_->pix_fmt);
    scaler_ = make_scaler(format.width, format.height,
                          {.source = AV_PIX_FMT_RGB24, .target = encoder_->pix_fmt});
    packet_.reset(av_packet_alloc());
    BW_CHECK(packet_ != nullptr);
  }

  // Opens the file; apart from the constructor so that the muxer sees the opened encoder.
  void open_file(const Container& container, const EncodeOptions& options) {
    const std::string url = av_file_url(file_.path().string());
    AVFormatContext* context = nullptr;
    check(avformat_alloc_output_context2(&context, nullptr, container.muxer.c_str(), url.c_str()));
    output_.reset(context);
    output_->flags |= AVFMT_FLAG_BITEXACT;
    AVStream* stream = avformat_new_stream(output_.get(), nullptr);
    BW_CHECK(stream != nullptr);
    check(avcodec_parameters_from_context(stream->codecpar, encoder_.get()));
    stream->time_base = encoder_->time_base;
    stream->avg_frame_rate = encoder_->framerate;
    set_metadata(options);
    check(avio_open(&output_->pb, url.c_str(), AVIO_FLAG_WRITE));
    AvDictionary settings;
    if (container.muxer == "mp4") {
      settings.set("movflags", "+faststart+use_metadata_tags");
      settings.set("movie_timescale", movie_timescale(rate_));
    }
    check(avformat_write_header(output_.get(), settings.address()));
    BW_CHECK(settings.first_key().empty(), "option " + settings.first_key());
  }

  void write(const at::Tensor& frames) override {
    BW_CHECK(!is_finished_, "write after finish");
    const std::int64_t first = counter_.count();
    counter_.add(frames);
    const auto row = static_cast<std::size_t>(format_.width) * 3;
    const std::uint8_t* pixels = frames.const_data_ptr<std::uint8_t>();
    for (std::int64_t i = 0; i < frames.size(0); ++i) {
      for (int y = 0; y < format_.height; ++y, pixels += row) {
        std::memcpy(rgb_->data[0] + static_cast<std::ptrdiff_t>(y) * rgb_->linesize[0], pixels,
                    row);
      }
      encode_picture(first + i);
    }
  }

  void finish() override {
    counter_.finish();
    BW_CHECK(!is_finished_, "finish called twice");
    is_finished_ = true;
    check(avcodec_send_frame(encoder_.get(), nullptr));
    write_packets();
    check(av_write_trailer(output_.get()));
    avio_flush(output_->pb);
    check(output_->pb->error);
    check(avio_closep(&output_->pb));
    file_.commit();
  }

 private:
  // Negative codes of FFmpeg become OutputError.
  void check(int code) const {
    if (code < 0)
      throw OutputError(file_.target().string() + ": cannot be written: " + av_error_text(code));
  }

  void open_encoder(const VideoCodec& codec, const EncodeOptions& options) {
    const AVCodec* encoder = avcodec_find_encoder_by_name(codec.encoder.c_str());
    BW_CHECK(encoder != nullptr, codec.encoder);
    encoder_.reset(avcodec_alloc_context3(encoder));
    BW_CHECK(encoder_ != nullptr);
    encoder_->width = format_.width;
    encoder_->height = format_.height;
    encoder_->pix_fmt = pixel_format(codec);
    encoder_->framerate = to_rational(rate_);
    encoder_->time_base = av_inv_q(encoder_->framerate);
    encoder_->sample_aspect_ratio = {1, 1};
    encoder_->thread_count = 1;
    encoder_->flags |= AV_CODEC_FLAG_BITEXACT;
    // MP4 and Matroska keep the codec's parameters in the file's head.
    encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (!codec.mp4_tag.empty()) {
      const std::string& tag = codec.mp4_tag;
      encoder_->codec_tag = MKTAG(tag[0], tag[1], tag[2], tag[3]);
    }
    const bool is_rgb = codec.pixel_format == "bgr0";
    encoder_->colorspace = is_rgb ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
    encoder_->color_primaries = AVCOL_PRI_BT709;
    encoder_->color_trc = AVCOL_TRC_BT709;
    encoder_->color_range = is_rgb ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    encoder_->chroma_sample_location = is_rgb ? AVCHROMA_LOC_UNSPECIFIED : AVCHROMA_LOC_LEFT;
    AvDictionary settings;
    if (!codec.is_lossless()) {
      settings.set("crf", std::to_string(options.crf.value_or(codec.crf.value)));
      settings.set("preset", options.preset.empty() ? codec.preset : options.preset);
    }
    for (const auto& [key, value] : codec.settings) settings.set(key, value);
    const int code = avcodec_open2(encoder_.get(), encoder, settings.address());
    if (code < 0) {
      throw UsageError("--codec " + codec.name + ": " + codec.encoder +
                       " refused the settings: " + av_error_text(code));
    }
    BW_CHECK(settings.first_key().empty(),
             codec.encoder + " has no option " + settings.first_key());
  }

  void set_metadata(const EncodeOptions& options) {
    const auto set = [this](const char* key, const std::string& value) {
      if (!value.empty()) check(av_dict_set(&output_->metadata, key, value.c_str(), 0));
    };
    set("title", options.title);
    set("description", options.title);  // some players show one, some the other
    set("comment", options.metadata);
  }

  void encode_picture(std::int64_t index) {
    check(av_frame_make_writable(picture_.get()));  // the encoder may still hold the last one
    const int rows = sws_scale(scaler_.get(), rgb_->data, rgb_->linesize, 0, format_.height,
                               picture_->data, picture_->linesize);
    BW_CHECK(rows == format_.height);
    picture_->pts = index;
    picture_->colorspace = encoder_->colorspace;
    picture_->color_primaries = encoder_->color_primaries;
    picture_->color_trc = encoder_->color_trc;
    picture_->color_range = encoder_->color_range;
    picture_->chroma_location = encoder_->chroma_sample_location;
    check(avcodec_send_frame(encoder_.get(), picture_.get()));
    write_packets();
  }

  void write_packets() {
    for (;;) {
      const int code = avcodec_receive_packet(encoder_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      check(code);
      if (packet_->duration == 0) packet_->duration = 1;  // in units of 1/fps
      packet_->stream_index = 0;
      av_packet_rescale_ts(packet_.get(), encoder_->time_base, output_->streams[0]->time_base);
      check(
          av_interleaved_write_frame(output_.get(), packet_.get()));  // takes the packet's contents
      check(output_->pb->error);
    }
  }

  PendingFile file_;  // first: removed after output_ is closed
  FrameCounter counter_;
  VideoFormat format_;
  FrameRate rate_;
  UniqueCodecContext encoder_;
  UniqueOutput output_;
  UniqueScaler scaler_;
  UniqueFrame rgb_;      // RGB24
  UniqueFrame picture_;  // in the encoder's format
  UniquePacket packet_;
  bool is_finished_ = false;
};

}  // namespace

void check_libav_output(const fs::path& path, const VideoFormat& format,
                        const EncodeOptions& options, const Container& container) {
  check_video_format(format);
  const VideoCodec& codec = find_video_codec(choose_codec(options, container.codecs));
  require_encoder(codec, container.codecs, has_encoder);
  check_codec_options(codec, format, options);
  check_writable(path);
}

std::unique_ptr<FrameSink> make_libav_sink(const fs::path& path, const VideoFormat& format,
                                           const EncodeOptions& options,
                                           const Container& container) {
  quiet_libav();
  check_libav_output(path, format, options, container);
  const VideoCodec& codec = find_video_codec(choose_codec(options, container.codecs));
  if (!codec.log_variable.empty())
    ::setenv(codec.log_variable.c_str(), "1", /*replace=*/0);  // errors only
  auto sink = std::make_unique<LibavSink>(path, format, options, codec);
  sink->open_file(container, options);
  return sink;
}

}  // namespace bw
