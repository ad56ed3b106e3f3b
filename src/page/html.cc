#include "page/html.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "base/files.h"

namespace bw {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string print(const char* format, double value) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::string escape_markup(std::string_view text) {
  const bool is_utf8 = is_valid_utf8(text);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || (byte >= 0x80 && !is_utf8)) {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

std::string coordinate(double value) {
  std::string text = print("%.2f", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string number_text(double value) {
  const double size = std::abs(value);
  return print(size >= 1000 && size < 1e12 ? "%.0f" : "%.4g", value);
}

std::string percent_text(double fraction) {
  if (fraction > 0 && fraction < 0.01) return "<1 %";
  if (fraction > 0.99 && fraction < 1) return ">99 %";
  return print("%.0f %%", 100 * fraction);
}

std::string seconds_text(double seconds) {
  if (seconds != 0 && std::abs(seconds) < 0.1) return print("%.3g ms", 1e3 * seconds);
  return print(seconds < 100 ? "%.3g s" : "%.0f s", seconds);
}

void Markup::begin(std::string_view tag, Attributes attributes) {
  out_.append("<").append(tag);
  for (const Attribute& attribute : attributes) {
    out_.append(" ").append(attribute.name).append("=\"");
    out_.append(escape_markup(attribute.value)).append("\"");
  }
}

Markup& Markup::open(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  out_ += '>';
  open_.emplace_back(tag);
  return *this;
}

Markup& Markup::close() {
  BW_CHECK(!open_.empty(), "no element is open");
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}

Markup& Markup::text(std::string_view text) {
  out_ += escape_markup(text);
  return *this;
}

Markup& Markup::element(std::string_view tag, std::string_view text, Attributes attributes) {
  return open(tag, attributes).text(text).close();
}

Markup& Markup::empty(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  out_ += "/>";
  return *this;
}

Markup& Markup::append(std::string_view finished) {
  out_ += finished;
  return *this;
}

std::string Markup::take() {
  BW_CHECK(open_.empty(), "an element is still open");
  return std::exchange(out_, {});
}

}  // namespace bw
