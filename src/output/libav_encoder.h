// Writes video files through FFmpeg. Read mp4.cc for a caller, libav_codecs.h for the table of
// codecs; libav_missing.cc stands in where FFmpeg is missing, so no caller needs to know.
//
// Note: [Equal frames, equal bytes] Muxer and encoder run with their bit-exact flags (no version,
// no date, no random identifiers) and the encoder with one thread, so that a file's hash says
// whether its frames changed. Encoding runs beside the model (make_threaded_sink), where one thread
// is enough.
#pragma once

#include <string>
#include <vector>

#include "output/frame_sink.h"

namespace bw {

// What a file format adds to the shared encoder.
struct Container {
  std::string muxer;                // FFmpeg's name: "mp4", "matroska"
  std::vector<std::string> codecs;  // rows of libav_codecs.h, the default first
};

void check_libav_output(const std::filesystem::path& path, const VideoFormat& format,
                        const EncodeOptions& options, const Container& container);

[[nodiscard]] std::unique_ptr<FrameSink> make_libav_sink(const std::filesystem::path& path,
                                                         const VideoFormat& format,
                                                         const EncodeOptions& options,
                                                         const Container& container);

}  // namespace bw
