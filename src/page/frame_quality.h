// A metric over the frames of one clip or several.
#pragma once

#include <string>
#include <vector>

namespace bw {

struct QualitySeries {
  std::string name;
  std::vector<double> per_frame;  // not empty
};

struct FrameQuality {
  std::string metric;     // "psnr"
  std::string unit;       // "dB", or ""
  std::string direction;  // "higher is closer"
  std::vector<QualitySeries> series;
};

// One line and one dot per finite value of class "series-i" for every series.
[[nodiscard]] std::string frame_quality_figure(const FrameQuality& quality);

}  // namespace bw
