#include "bundle/text_cleaning.h"

#include <wctype.h>

#include <clocale>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/check.h"
#include "base/files.h"

namespace bw {
namespace {

void append(std::string& text, char32_t c) {
  const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | (c >> 6));
    byte(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    byte(0xE0 | (c >> 12));
    byte(0x80 | ((c >> 6) & 0x3F));
    byte(0x80 | (c & 0x3F));
  } else {
    byte(0xF0 | (c >> 18));
    byte(0x80 | ((c >> 12) & 0x3F));
    byte(0x80 | ((c >> 6) & 0x3F));
    byte(0x80 | (c & 0x3F));
  }
}

// What Python's str.isspace() says.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// Case mapping that does not depend on the user's locale.
class LowerCase {
 public:
  LowerCase() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr), ::freelocale) {}

  [[nodiscard]] char32_t operator()(char32_t c) const {
    if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
    if (c < 0x80 || !locale_) return c;
    return static_cast<char32_t>(::towlower_l(static_cast<wint_t>(c), locale_.get()));
  }

 private:
  std::unique_ptr<std::remove_pointer_t<locale_t>, decltype(&::freelocale)> locale_;
};

}  // namespace

char32_t take_character(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  if (lead < 0x80) return lead;
  const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t character = lead & (0x3FU >> more);
  for (int i = 0; i < more; ++i) {
    character = (character << 6) | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  }
  return character;
}

std::string clean_text(std::string_view text, Cleaning cleaning) {
  BW_CHECK(is_valid_utf8(text));
  if (cleaning == Cleaning::kNone) return std::string(text);
  const LowerCase lower;
  std::string result;
  bool has_gap = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = take_character(text, at);
    if (is_space(c)) {
      has_gap = !result.empty();
      continue;
    }
    if (has_gap) result += ' ';
    has_gap = false;
    append(result, cleaning == Cleaning::kLowercase ? lower(c) : c);
  }
  return result;
}

}  // namespace bw
