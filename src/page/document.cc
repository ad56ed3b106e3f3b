#include "page/document.h"

#include <utility>

#include "page/html.h"

namespace bw {

Document::Document(std::string title, std::string what)
    : title_(std::move(title)), what_(std::move(what)) {}

void Document::facts(const std::vector<Fact>& facts) { facts_ = facts; }

void Document::notice(const std::string& text) { notices_.push_back(text); }

void Document::section(const std::string& heading, const std::string& explanation,
                       const std::string& content) {
  sections_.push_back({heading, explanation, content});
}

std::string Document::finish() const {
  const auto anchor = [](std::size_t i) { return "part-" + std::to_string(i + 1); };
  Markup page;
  page.open("html", {{"lang", "en"}}).open("head").empty("meta", {{"charset", "utf-8"}});
  page.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  page.element("title", title_ + " · bwcache-gen " + what_);
  page.open("style").append(page_style()).close().close();
  page.open("body").open("header").element("p", "bwcache-gen " + what_, {{"class", "what"}});
  page.element("h1", title_);
  page.open("dl", {{"class", "facts"}});
  for (const Fact& fact : facts_) {
    page.open("div").element("dt", fact.name).element("dd", fact.value).close();
  }
  page.close();
  for (const std::string& notice : notices_) page.element("p", notice, {{"class", "notice"}});
  page.open("nav", {{"aria-label", "parts of this page"}});
  for (std::size_t i = 0; i < sections_.size(); ++i)
    page.element("a", sections_[i].heading, {{"href", "#" + anchor(i)}});
  page.close().close().open("main");
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    page.open("section", {{"id", anchor(i)}}).element("h2", sections_[i].heading);
    page.element("p", sections_[i].explanation, {{"class", "how"}});
    page.append(sections_[i].content).close();
  }
  page.close().close().close();
  return "<!DOCTYPE html>\n" + page.take() + "\n";
}

std::string subheading(const std::string& text) {
  Markup out;
  return out.element("h3", text).take();
}

std::string small_multiples(const std::vector<CaptionedFigure>& figures) {
  Markup out;
  out.open("div", {{"class", "multiples"}});
  for (const CaptionedFigure& figure : figures) {
    out.open("figure").element("figcaption", figure.caption).append(figure.figure).close();
  }
  return out.close().take();
}

}  // namespace bw
