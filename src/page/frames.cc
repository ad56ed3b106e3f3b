#include "page/frames.h"

#include "page/data_uri.h"
#include "page/html.h"

namespace bw {

std::string contact_sheet(const ContactSheet& sheet) {
  Markup out;
  out.open("div", {{"class", "sheet"}});
  for (const Thumbnail& thumbnail : sheet.thumbnails) {
    const std::string number = std::to_string(thumbnail.frame);
    out.open("figure");
    out.empty("img", {{"src", data_uri("image/png", thumbnail.png)},
                      {"alt", sheet.name + ", frame " + number}});
    out.element("figcaption", number).close();
  }
  return out.close().take();
}

std::string clip_player(const std::string& media_type, const std::string& bytes) {
  Markup out;
  return out
      .element(
          "video", "",
          {{"controls", ""}, {"loop", ""}, {"muted", ""}, {"src", data_uri(media_type, bytes)}})
      .take();
}

}  // namespace bw
