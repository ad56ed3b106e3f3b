// A case of the quality regression: what is run with and without a cache, and what must hold. Read
// regress.h for how it is run, docs/ci.md for the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/params.h"
#include "bundle/manifest.h"
#include "quality/gate.h"
#include "run/plan.h"
#include "run/request.h"

namespace bw {

// How far a run may be from the recorded one.
struct RegressTolerance final : Params {
  double computed_fraction = 0.02;  // absolute
  double memory = 0.05;             // relative
  // Of latents that another machine recorded: highest cosine distance, lowest PSNR in dB.
  double cosine = 1e-4;
  double psnr = 45;

  void visit(ParamVisitor& visitor) override;
};

struct RegressCase {
  std::filesystem::path file;
  std::string name;
  Request request;                   // of `plan`, with the cache and the first prompt and seed
  std::vector<std::string> prompts;  // every prompt with every seed is a clip
  std::vector<std::int64_t> seeds;
  std::vector<Gate> gates;
  RegressTolerance tolerance;
  std::filesystem::path reference;  // NAME.json; its latents are in NAME.safetensors beside it
};

// The place of a list's entry: "case.json: seeds[1]".
[[nodiscard]] Origin entry_of(const Origin& list, std::size_t index);

// Strict; throws InputError naming file and JSON path.
[[nodiscard]] RegressCase read_regress_case(const std::filesystem::path& file);

// Of the first prompt and seed.
struct RegressPlans {
  Plan uncached;
  Plan cached;
};

// `flags` are those of the command line and win over the case. Throws as resolve() does, and when
// the case's cache is none at all.
[[nodiscard]] RegressPlans resolve_regress(const RegressCase& regress_case, const Request& flags,
                                           const Manifest& manifest);

}  // namespace bw
