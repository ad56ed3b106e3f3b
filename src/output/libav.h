// FFmpeg's objects as owners, and its error codes as text. Included by libav_*.cc only;
// libav_encoder.h is the door.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/dict.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace bw {

// FFmpeg frees through T* or through T** (and then sets it to null).
template <auto kFree>
struct AvFree {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <auto kFree>
struct AvFreePointer {
  template <typename T>
  void operator()(T* object) const {
    kFree(&object);
  }
};
struct AvCloseOutput {
  void operator()(AVFormatContext* context) const {
    if (context->pb != nullptr) avio_closep(&context->pb);
    avformat_free_context(context);
  }
};

using UniqueInput = std::unique_ptr<AVFormatContext, AvFreePointer<avformat_close_input>>;
using UniqueOutput = std::unique_ptr<AVFormatContext, AvCloseOutput>;
using UniqueCodecContext = std::unique_ptr<AVCodecContext, AvFreePointer<avcodec_free_context>>;
using UniqueFrame = std::unique_ptr<AVFrame, AvFreePointer<av_frame_free>>;
using UniquePacket = std::unique_ptr<AVPacket, AvFreePointer<av_packet_free>>;
using UniqueScaler = std::unique_ptr<SwsContext, AvFree<sws_freeContext>>;

// A dictionary that FFmpeg's calls may replace through address().
class AvDictionary {
 public:
  AvDictionary() = default;
  ~AvDictionary() { av_dict_free(&dictionary_); }
  AvDictionary(const AvDictionary&) = delete;
  AvDictionary& operator=(const AvDictionary&) = delete;
  void set(const std::string& key, const std::string& value) {
    av_dict_set(&dictionary_, key.c_str(), value.c_str(), 0);
  }
  AVDictionary** address() { return &dictionary_; }
  // The first key left, or "": an option that nobody took.
  [[nodiscard]] std::string first_key() const {
    const AVDictionaryEntry* entry = av_dict_get(dictionary_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
    return entry == nullptr ? "" : entry->key;
  }

 private:
  AVDictionary* dictionary_ = nullptr;
};

// "No space left on device"
[[nodiscard]] std::string av_error_text(int code);

// "file:<path>": no part of a path is ever taken for a protocol.
[[nodiscard]] std::string av_file_url(const std::string& path);

// Errors only; FFmpeg's level is process-wide, so every entry point sets the same.
void quiet_libav();

// A frame with its own padded buffer, which swscale may overrun by some pixels.
[[nodiscard]] UniqueFrame make_frame(int width, int height, AVPixelFormat format);

struct ScalerFormats {
  AVPixelFormat source;
  AVPixelFormat target;
  int colorspace = SWS_CS_ITU709;  // matrix of the Y'CbCr side
  bool is_full_range = false;      // range of the Y'CbCr side; RGB is always full
};
// Converts without resizing, with exact rounding and interpolated chroma: swscale's defaults are
// the matrix of BT.601 and fast approximations.
[[nodiscard]] UniqueScaler make_scaler(int width, int height, const ScalerFormats& formats);

}  // namespace bw
