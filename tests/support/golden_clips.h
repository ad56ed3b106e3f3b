// The files of models/reference/perceptual.py, for the tests of golden/quality and golden/lpips.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "quality/compare.h"
#include "torchscript/safetensors.h"

namespace bw {

inline std::string golden_path(const std::string& name) {
  return std::string(BW_TEST_DATA) + "/golden/" + name;
}

// Compares every case that has values of `metric`; returns how many values were compared.
inline std::size_t check_metric(const MetricInfo& metric) {
  const Json golden = read_json_file(golden_path("perceptual.json"));
  const Safetensors clips = read_safetensors(golden_path("perceptual.safetensors"));
  const double tolerance = golden.at("tolerance").at(std::string(metric.name));
  std::size_t checked = 0;
  for (const auto& [name, metrics] : golden.at("cases").items()) {
    if (!metrics.contains(std::string(metric.name))) continue;
    const Json& expected = metrics.at(std::string(metric.name));
    const MetricResult result =
        compare(clips.tensors.at(name + ".b"), clips.tensors.at(name + ".a"), {&metric, 1}).front();
    EXPECT_EQ(result.values.size(), expected.size()) << name << " " << metric.name;
    if (result.values.size() != expected.size()) continue;
    for (std::size_t i = 0; i < expected.size(); ++i, ++checked) {
      EXPECT_NEAR(result.values[i], expected[i].get<double>(), tolerance)
          << name << " " << metric.name << " " << i;
    }
  }
  return checked;
}

}  // namespace bw
