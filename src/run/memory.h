// The memory that a run declares: what it consists of, known before it starts. Read
// torchscript/device_copies.h for the weights, cache/memory_plan.h for the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/plan.h"

namespace bw {

// What a run keeps while it steps.
struct StateMemory {
  std::vector<std::int64_t>
      streams;               // bytes of the hidden state, per stream, all branches of a pass
  std::uint64_t cache = 0;   // the most that the cache will hold
  std::uint64_t hidden = 0;  // input and output of one block
};
[[nodiscard]] StateMemory state_memory(const Plan& plan, const Manifest& manifest);

struct DeclaredMemory {
  std::uint64_t weights = 0;      // as the files hold them
  std::uint64_t copies = 0;       // converted, packed or quantised beside them
  std::uint64_t cache = 0;        // the most that the cache will hold
  std::uint64_t hidden = 0;       // input and output of one block
  std::uint64_t activations = 0;  // within a block, from the shapes of its layers

  [[nodiscard]] std::uint64_t total() const {
    return weights + copies + cache + hidden + activations;
  }
};

// What the widest moment of a block holds, in values per token: its widest layer's output beside
// three tensors of the hidden state's width, or queries, keys and values, their rotated and packed
// copies, input and result of an attention, ten in all.
[[nodiscard]] std::int64_t values_per_token(std::int64_t width, std::int64_t widest_layer);

// `weights` is what the loaded model counted. The program itself, libraries, text encoder at work
// and decoder are not part of it.
[[nodiscard]] DeclaredMemory declared_memory(const Plan& plan, const Manifest& manifest,
                                             const WeightBytes& weights);

// What loading the plan's model would count, from headers and code alone; prepares no weights. The
// plan's device must be open.
[[nodiscard]] WeightBytes count_weights(const Plan& plan, const Manifest& manifest);

// {"declared_bytes": …, "declared": {"weights": …, …}}
[[nodiscard]] Json to_json(const DeclaredMemory& memory);
// "48.2 MiB: weights 34.5 MiB, …", without what is zero.
[[nodiscard]] std::string to_text(const DeclaredMemory& memory);

}  // namespace bw
