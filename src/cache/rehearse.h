// What a policy would decide on a run that was recorded: the controller walks a model of one number
// per block, whose changes are the recorded ones. Costs microseconds an evaluation, so that many
// settings can be ranked before any is run. Read run/tune.h for the caller.
//
// The distance over several steps is not recorded; here it is the product of the changes between
// them, an upper estimate where features move back and forth. Decisions that rest on neighbouring
// steps (all before a first trigger) are exact.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "cache/cache_controller.h"

namespace bw {

// Relative change of every block from an evaluation to the next, per kind of signal. Empty where a
// branch did not take part or had no predecessor.
struct SignalRecord {
  using Changes = std::array<std::vector<double>, kNumBranches>;  // per block
  std::map<SignalKind, std::vector<Changes>> evaluations;         // by index of the evaluation
  std::vector<std::optional<LatentSignals>> latents;              // likewise

  // Takes over what a run measured that computed everything: of all blocks of both branches, of the
  // latents.
  void add(const CacheReport& uncached);
};

// The number that stands for a block's features, per branch and block: one at first, then grown by
// each recorded change. Experts start afresh, each by itself.
using FeatureLevels = std::array<std::vector<double>, kNumBranches>;

// By index of the evaluation; all ones when the record lacks the kind.
[[nodiscard]] std::vector<FeatureLevels> feature_levels(const SignalRecord& record, SignalKind kind,
                                                        const CacheLayout& layout);

// The report of such a run: its decisions are those of the policy and the guards on the recorded
// signals, its seconds mean nothing. The record must hold the kind of signal that the policy needs.
[[nodiscard]] CacheReport rehearse(CacheSetup setup, const SignalRecord& record);

}  // namespace bw
