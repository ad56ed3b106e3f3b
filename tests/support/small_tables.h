// Tables for policies that run on a calibrated one, made up for any shape of run: every value is
// small enough for the policy's defaults to reuse something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "cache/calibrated_table.h"
#include "cache/policy_table.h"

namespace bw::testing {

inline std::vector<double> repeated(double value, std::int64_t count) {
  return std::vector<double>(static_cast<std::size_t>(std::max<std::int64_t>(0, count)), value);
}

// A row for every stage of every block: every second step, and the error of the feed-forwards.
inline void add_bac_rows(const RunShape& shape, CalibratedTable& schedule,
                         CalibratedTable& losses) {
  std::vector<double> steps;
  for (std::int64_t step = 0; step < shape.num_steps; step += 2) {
    steps.push_back(static_cast<double>(step));
  }
  for (std::size_t expert = 0; expert < shape.stages.size(); ++expert) {
    for (std::size_t block = 0; block < shape.stages[expert].size(); ++block) {
      for (const std::string& stage : shape.stages[expert][block]) {
        const std::string row = std::to_string(expert) + "." + std::to_string(block) + "." + stage;
        schedule.add(row, steps);
        if (stage == "feed_forward") losses.add(row, {static_cast<double>(block)});
      }
    }
  }
}

// Of Block Caching, for the lags of its defaults.
inline CalibratedTable small_corrections(const RunShape& shape) {
  CalibratedTable table;
  for (std::size_t expert = 0; expert < shape.blocks_per_expert.size(); ++expert) {
    for (std::size_t block = 0; block < shape.blocks_per_expert[expert]; ++block) {
      for (int lag = 1; lag <= 4; ++lag) {
        const std::string row =
            std::to_string(expert) + "." + std::to_string(block) + "." + std::to_string(lag);
        table.add(row + ".scale", repeated(1 - 0.05 * lag, shape.num_steps));
        table.add(row + ".shift", repeated(0.01 * lag, shape.num_steps));
      }
    }
  }
  return table;
}

inline Json small_table(std::string_view policy, const RunShape& shape) {
  CalibratedTable table;
  const std::int64_t steps = shape.num_steps;
  if (policy == "magcache") {
    table.add("cond", repeated(0.98, steps));
    table.add("uncond", repeated(0.97, steps));
    return {{"ratios", table.text()}};
  }
  if (policy == "smoothcache") {
    for (const auto& expert : shape.stages) {
      for (const auto& block : expert) {
        for (const std::string& stage : block) {
          for (std::int64_t lag = 1; lag <= 5; ++lag) {
            const std::string row = stage + "." + std::to_string(lag);
            if (table.find(row) == nullptr) table.add(row, repeated(0.015, steps - lag));
          }
        }
      }
    }
    return {{"errors", table.text()}};
  }
  if (policy == "blockcaching") {
    for (std::size_t expert = 0; expert < shape.blocks_per_expert.size(); ++expert) {
      for (std::size_t block = 0; block < shape.blocks_per_expert[expert]; ++block) {
        table.add(std::to_string(expert) + "." + std::to_string(block),
                  repeated(0.1 * static_cast<double>(1 + block % 3), steps));
      }
    }
    return {{"changes", table.text()}, {"corrections", small_corrections(shape).text()}};
  }
  if (policy == "lemica") {
    for (std::int64_t lag = 1; lag <= 4; ++lag) {
      table.add(std::to_string(lag), repeated(0.1 * static_cast<double>(lag - 1), steps + 1 - lag));
    }
    return {{"errors", table.text()}};
  }
  if (policy == "taocache") {
    table.add("1", repeated(0.8, steps));
    table.add("2", repeated(0.4, steps));
    return {{"weights", table.text()}};
  }
  if (policy == "meancache") {
    for (std::int64_t lag = 2; lag <= 8; ++lag) {
      const std::string row = std::to_string(lag);
      table.add(row, repeated(0.1 * static_cast<double>(lag - 1), steps - lag));
      table.add(row + ".span", repeated(3, steps - lag));
    }
    return {{"errors", table.text()}};
  }
  CalibratedTable losses;
  add_bac_rows(shape, table, losses);
  return {{"schedule", table.text()}, {"losses", losses.text()}};
}

// The parameters, with a table where the policy needs one and they bring none.
inline Json with_small_table(const CachePolicyInfo& policy, const Json& params,
                             const RunShape& shape) {
  if (policy.table.empty() || params.contains(std::string(policy.table))) return params;
  Json filled = small_table(policy.name, shape);
  filled.update(params);
  return filled;
}

}  // namespace bw::testing
