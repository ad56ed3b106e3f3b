#include "run/compare_page.h"

#include "base/files.h"
#include "page/document.h"
#include "page/frame_quality.h"
#include "page/html.h"
#include "page/tables.h"
#include "run/page_frames.h"

namespace bw {
namespace {

std::string quality_figures(const ComparedVideos& compared) {
  std::string content;
  Table table{{"metric", "mean", "worst", "worst frame"}, {}};
  for (const MetricResult& result : compared.results) {
    if (result.value_of != ValueOf::kClip) {
      content += frame_quality_figure(quality_of(result, compared.video.filename().string()));
    }
    table.rows.push_back({result.name, number_text(result.mean) + " " + result.unit,
                          number_text(result.worst), std::to_string(result.worst_frame)});
  }
  return table_markup(table) + content;
}

std::string sheets(const ComparedVideos& compared) {
  constexpr std::int64_t kFrames = 8;
  const SampledFrames reference = sample_frames(compared.reference, kFrames);
  const SampledFrames video = sample_frames(compared.video, kFrames);
  const DifferenceSheet difference = difference_sheet(video, reference);
  const std::string gain = std::to_string(difference.gain);
  return subheading("Reference: " + compared.reference.string()) +
         contact_sheet(sheet_of("reference", reference)) +
         subheading("Video: " + compared.video.string()) + contact_sheet(sheet_of("video", video)) +
         subheading("Difference, " + gain + " times as strong") + contact_sheet(difference.sheet);
}

}  // namespace

void write_compare_page(const std::filesystem::path& path, const ComparedVideos& compared) {
  Document page(
      compared.video.filename().string() + " against " + compared.reference.filename().string(),
      "compare");
  std::vector<Fact> facts;
  for (const MetricResult& result : compared.results)
    facts.push_back({number_text(result.mean) + " " + result.unit, result.name + ", mean"});
  if (compared.denoise_speedup)
    facts.push_back({number_text(*compared.denoise_speedup) + "x", "speed-up of denoising"});
  page.facts(facts);
  page.section("Quality, frame by frame",
               "How near each frame of the video is to the same frame of the reference. Point at a "
               "dot for its value.",
               quality_figures(compared));
  page.section("Frames",
               "The same frames of both, and their difference per colour, made stronger by one "
               "factor for all frames: black is equal, and what is too bright is cut.",
               sheets(compared));
  write_file(path, page.finish());
}

}  // namespace bw
