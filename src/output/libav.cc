#include "output/libav.h"

#include <array>

#include "base/check.h"
#include "output/frame_sink.h"

namespace bw {

bool built_with_ffmpeg() { return true; }

std::string ffmpeg_version() {
  const unsigned version = avcodec_version();
  return "libavcodec " + std::to_string(AV_VERSION_MAJOR(version)) + "." +
         std::to_string(AV_VERSION_MINOR(version)) + "." +
         std::to_string(AV_VERSION_MICRO(version));
}

std::string av_error_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

std::string av_file_url(const std::string& path) { return "file:" + path; }

void quiet_libav() { av_log_set_level(AV_LOG_ERROR); }

UniqueFrame make_frame(int width, int height, AVPixelFormat format) {
  UniqueFrame frame(av_frame_alloc());
  BW_CHECK(frame != nullptr);
  frame->width = width;
  frame->height = height;
  frame->format = format;
  const int code = av_frame_get_buffer(frame.get(), 0);
  BW_CHECK(code == 0, av_error_text(code));
  return frame;
}

UniqueScaler make_scaler(int width, int height, const ScalerFormats& formats) {
  constexpr int kFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
  UniqueScaler scaler(sws_getContext(width, height, formats.source, width, height, formats.target,
                                     kFlags, nullptr, nullptr, nullptr));
  BW_CHECK(scaler != nullptr, "no conversion between these pixel formats");
  const auto is_rgb = [](AVPixelFormat format) {
    return (av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  };
  const int range = formats.is_full_range ? 1 : 0;
  const int* matrix = sws_getCoefficients(formats.colorspace);
  // Brightness, contrast and saturation stay neutral (16.16 fixed point). Between two RGB formats
  // there is no matrix, and the call refuses.
  sws_setColorspaceDetails(scaler.get(), matrix, is_rgb(formats.source) ? 1 : range, matrix,
                           is_rgb(formats.target) ? 1 : range, 0, 1 << 16, 1 << 16);
  return scaler;
}

}  // namespace bw
