#include "page/stage_times.h"

#include <algorithm>

#include "base/check.h"
#include "page/svg.h"

namespace bw {
namespace {

constexpr double kLetter = 6.4;  // pixels that one of the names takes, about
constexpr double kInset = 18;    // of parts

// So wide that the longest name fits, if it is no longer than half of the figure.
double names_width(const std::vector<StageTime>& stages) {
  std::size_t longest = 0;
  for (const StageTime& stage : stages) longest = std::max(longest, stage.name.size());
  return std::clamp(kLetter * static_cast<double>(longest) + 2 * kInset, 120.0, 360.0);
}

// Cut at a character's end; the whole name is in the tooltip.
std::string fitted(const std::string& name, double width) {
  auto end = static_cast<std::size_t>((width - 2 * kInset) / kLetter) + 1;
  if (name.size() <= end) return name;
  while ((static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end) + "…";
}

}  // namespace

std::string stage_times_figure(const std::vector<StageTime>& stages) {
  constexpr double kRow = 26;
  constexpr double kValues = 80;
  constexpr double kWidth = 720;
  const double names = names_width(stages);
  double longest = 0;
  for (const StageTime& stage : stages) longest = std::max(longest, stage.seconds);
  const Scale scale({0, longest > 0 ? longest : 1}, {0, kWidth - names - kValues});
  Markup svg;
  open_svg(svg, "Seconds per stage", {kWidth, kRow * static_cast<double>(stages.size()) + 8});
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const StageTime& stage = stages[i];
    const double top = 4 + kRow * static_cast<double>(i);
    const double inset = stage.is_part ? 5.0 : 3.0;
    svg.element("text", fitted(stage.name, names),
                {{"class", stage.is_part ? "label" : "label strong"},
                 {"x", stage.is_part ? kInset : 0.0},
                 {"y", top + kRow / 2 + 4}});
    svg.open("rect", {{"class", stage.is_part ? "bar part" : "bar"},
                      {"x", names},
                      {"y", top + inset},
                      {"width", scale(stage.seconds)},
                      {"height", kRow - 2 * inset}});
    svg.element("title", stage.name + ": " + seconds_text(stage.seconds)).close();
    svg.element(
        "text", seconds_text(stage.seconds),
        {{"class", "label"}, {"x", names + scale(stage.seconds) + 8}, {"y", top + kRow / 2 + 4}});
  }
  return svg.close().take();
}

std::string step_times_figure(const std::vector<double>& seconds, const std::vector<bool>& reused) {
  using Form = LegendEntry::Form;
  BW_CHECK(seconds.size() == reused.size() && !seconds.empty());
  const double longest = std::max(std::ranges::max(seconds), 1e-9);
  const double last = static_cast<double>(seconds.size()) - 1;
  Plot plot("Seconds per step", {"step", {-0.6, std::max(last, 1.0) + 0.6}, true},
            {"seconds", {0, 1.08 * longest}}, {720, 220});
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    plot.bar({static_cast<double>(i), seconds[i]}, 0.8, reused[i] ? "bar reused" : "bar computed",
             "step " + std::to_string(i) + ": " + seconds_text(seconds[i]) +
                 (reused[i] ? ", reused" : ", computed"));
  }
  Markup out;
  out.append(legend({{Form::kBox, "bar computed", "computed, all or in part"},
                     {Form::kBox, "bar reused", "all blocks reused"}}));
  return out.append(plot.finish()).take();
}

}  // namespace bw
