#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/origin.h"
#include "output/frame_sink.h"

namespace bw {

#define BW_WRITER(name) WriterInfo name##_writer();
#include "output/writers.inc"
#undef BW_WRITER

namespace {

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_usable(const WriterInfo& writer) { return !writer.needs_ffmpeg || built_with_ffmpeg(); }

std::vector<std::string> usable_extensions() {
  std::vector<std::string> names;
  for (const WriterInfo& writer : writers()) {
    if (is_usable(writer)) {
      names.insert(names.end(), writer.extensions.begin(), writer.extensions.end());
    }
  }
  return names;
}

}  // namespace

std::span<const WriterInfo> writers() {
  static const std::vector<WriterInfo> kWriters = {
#define BW_WRITER(name) name##_writer(),
#include "output/writers.inc"
#undef BW_WRITER
  };
  return kWriters;
}

const WriterInfo& find_writer(const std::filesystem::path& output) {
  const Origin origin = Origin::flag("--output " + output.string());
  const std::string extension = lower_extension(output);
  if (extension.empty()) {
    reject(origin, "the file name needs an extension, which chooses the format" +
                       known_names_hint("", usable_extensions()));
  }
  for (const WriterInfo& writer : writers()) {
    if (std::ranges::find(writer.extensions, extension) == writer.extensions.end()) continue;
    if (is_usable(writer)) return writer;
    reject(origin, "this program was built without FFmpeg, which " + extension +
                       " needs: install libavformat-dev, libavcodec-dev and libswscale-dev and "
                       "build again, or "
                       "write one of" +
                       known_names_hint("", usable_extensions()));
  }
  reject(origin, "unknown extension '" + extension + "'" +
                     known_names_hint(extension, usable_extensions()));
}

}  // namespace bw
