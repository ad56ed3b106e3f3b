// What a calibration sees of a run that computes everything. Read pass_runner.cc for where values
// are handed over, run/calibrate.h for who asks.
#pragma once

#include "bundle/denoiser.h"
#include "cache/history.h"

namespace bw {

struct RecordedParts {
  bool stack = false;       // Slot::kStack: output − input of all blocks
  bool probe = false;       // Slot::kSignal, block 0: its modulated attention input
  bool blocks = false;      // Slot::kBlock: output − input of each
  bool stages = false;      // Slot::kStage: the output of each, before its gate
  bool prediction = false;  // Slot::kBranch: the model's prediction [1,C,F,H,W] f32
  bool latents = false;     // Slot::kLatents: the model's input [1,C,F,H,W] f32, before all others
};

class FeatureRecorder {
 public:
  virtual ~FeatureRecorder() = default;
  [[nodiscard]] virtual const RecordedParts& parts() const = 0;
  // `value` is that of one branch, a view that is only valid during the call where both branches
  // run as one batch: keep a clone. Part 0 and 1 of a Heun step both come.
  virtual void record(const CacheKey& key, const EvaluationContext& context,
                      const Hidden& value) = 0;
};

}  // namespace bw
