// The pictures of a page: contact sheets and the clip itself, all inside the page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

struct Thumbnail {
  std::int64_t frame = 0;  // of the clip, from 0
  std::string png;         // the bytes of a PNG file
};

struct ContactSheet {
  std::string name;  // said for every picture: "exact.mp4", "difference"
  std::vector<Thumbnail> thumbnails;
};

// One picture per frame with its number.
[[nodiscard]] std::string contact_sheet(const ContactSheet& sheet);
// A player with the clip's bytes; media_type is "video/mp4".
[[nodiscard]] std::string clip_player(const std::string& media_type, const std::string& bytes);

}  // namespace bw
