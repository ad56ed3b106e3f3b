// The page itself: one HTML file that needs no network and no scripts, readable in light and dark,
// on paper and by keyboard. Read step_map.h for a figure.
#pragma once

#include <string>
#include <vector>

namespace bw {

struct Fact {
  std::string value;  // "43 %"
  std::string name;   // "of the blocks reused"
};

class Document {
 public:
  // `what` says in a few words what the page is about: "run", "bench".
  Document(std::string title, std::string what);

  // What somebody in a hurry wants to know, in large type under the title.
  void facts(const std::vector<Fact>& facts);
  // Something that is missing from the page, and why.
  void notice(const std::string& text);
  // `explanation` says in a sentence or two what is shown and how to read it; `content` is markup.
  void section(const std::string& heading, const std::string& explanation,
               const std::string& content);
  [[nodiscard]] std::string finish() const;

 private:
  struct Section {
    std::string heading, explanation, content;
  };
  std::string title_;
  std::string what_;
  std::vector<Fact> facts_;
  std::vector<std::string> notices_;
  std::vector<Section> sections_;
};

// A heading below that of a section.
[[nodiscard]] std::string subheading(const std::string& text);
// Figures beside each other where there is room, each with its caption.
struct CaptionedFigure {
  std::string caption;
  std::string figure;
};
[[nodiscard]] std::string small_multiples(const std::vector<CaptionedFigure>& figures);

// The style sheet of the page (style.cc).
[[nodiscard]] const char* page_style();

}  // namespace bw
