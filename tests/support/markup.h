// What tests ask of markup: how often something is in it, and that a figure stays inside its view
// box.
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bw::testing {

inline std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

// The values of an attribute, in order.
inline std::vector<double> numbers_of(std::string_view markup, const std::string& attribute) {
  std::vector<double> values;
  const std::string start = " " + attribute + "=\"";
  for (std::size_t at = markup.find(start); at != std::string_view::npos;
       at = markup.find(start, at + 1)) {
    values.push_back(std::strtod(markup.data() + at + start.size(), nullptr));
  }
  return values;
}

// The points of an element of that name with these attributes.
inline std::vector<std::pair<double, double>> points_of(const std::string& tag,
                                                        std::string_view attributes) {
  const auto at = [&](const std::string& name) {
    const std::vector<double> values = numbers_of(attributes, name);
    return values.empty() ? 0.0 : values.front();
  };
  if (tag == "rect") return {{at("x"), at("y")}, {at("x") + at("width"), at("y") + at("height")}};
  if (tag == "circle") {
    return {{at("cx") - at("r"), at("cy") - at("r")}, {at("cx") + at("r"), at("cy") + at("r")}};
  }
  if (tag == "line") return {{at("x1"), at("y1")}, {at("x2"), at("y2")}};
  if (tag == "text") return {{at("x"), at("y")}};
  std::vector<std::pair<double, double>> points;
  if (tag != "polyline") return points;
  std::istringstream list(std::string(
      attributes.substr(attributes.find("points=\"") + std::string("points=\"").size())));
  double x = 0, y = 0;
  for (char comma = 0; list >> x >> comma >> y;) points.emplace_back(x, y);
  return points;
}

// Names every coordinate outside the view box of its <svg>; "" when there is none.
inline std::string outside_view_box(std::string_view markup) {
  double width = 0, height = 0;
  std::string problems;
  for (std::size_t begin = markup.find('<'); begin != std::string_view::npos;
       begin = markup.find('<', begin + 1)) {
    const std::string_view element = markup.substr(begin + 1, markup.find('>', begin) - begin - 1);
    const std::string tag(element.substr(0, element.find_first_of(" /")));
    if (tag == "svg") {
      width = numbers_of(element, "width").at(0);
      height = numbers_of(element, "height").at(0);
    }
    for (const auto& [x, y] : points_of(tag, element)) {
      constexpr double kSlack = 0.011;  // coordinates are rounded
      if (x < -kSlack || y < -kSlack || x > width + kSlack || y > height + kSlack)
        problems += tag + " at " + std::to_string(x) + "," + std::to_string(y) + "\n";
    }
  }
  return width > 0 ? problems : "no svg";
}

}  // namespace bw::testing
