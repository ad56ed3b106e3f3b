// Markup that is well-formed by construction, as HTML and as XML: texts are escaped, and every
// element that was opened is closed. Read document.h for the page around it, svg.h for figures.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

// For texts and for attributes in double quotes. Control characters and bytes that are not UTF-8
// become U+FFFD.
[[nodiscard]] std::string escape_markup(std::string_view text);

// "12.5": at most two digits after the point, none that are zero; for coordinates.
[[nodiscard]] std::string coordinate(double value);
// "0.0721": four significant digits, all digits before the point.
[[nodiscard]] std::string number_text(double value);
// "72 %"; "<1 %" and ">99 %" of what is neither nothing nor all.
[[nodiscard]] std::string percent_text(double fraction);
// "3.21 s", "45.2 ms"
[[nodiscard]] std::string seconds_text(double seconds);

struct Attribute {
  Attribute(std::string_view attribute_name, std::string_view text)
      : name(attribute_name), value(text) {}
  Attribute(std::string_view attribute_name, double number)
      : name(attribute_name), value(coordinate(number)) {}
  std::string name;
  std::string value;
};
using Attributes = std::initializer_list<Attribute>;

class Markup {
 public:
  Markup& open(std::string_view tag, Attributes attributes = {});
  Markup& close();  // the element opened last
  Markup& text(std::string_view text);
  // An element that holds only text.
  Markup& element(std::string_view tag, std::string_view text, Attributes attributes = {});
  // <tag/>: elements that HTML never closes, and the shapes of SVG.
  Markup& empty(std::string_view tag, Attributes attributes = {});
  // What another Markup gave.
  Markup& append(std::string_view finished);
  // Everything so far; all elements must be closed.
  [[nodiscard]] std::string take();

 private:
  void begin(std::string_view tag, Attributes attributes);
  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace bw
