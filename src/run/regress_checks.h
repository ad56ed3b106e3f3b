// What must hold of a case's runs, as rows with a verdict: quality, reuse, latents, memory. Pure.
// Read regress_reference.h for what is compared with, regress.h for the caller.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "quality/compare.h"
#include "run/regress_reference.h"

namespace bw {

enum class CheckOutcome { kPassed, kFailed, kNotChecked };

struct RegressCheck {
  std::string name;        // "quality.psnr.mean", "memory.cache"
  Json value = nullptr;    // a number or a text; null when not checked
  std::string limit = {};  // ">= 30", "0.58 +- 0.02"
  CheckOutcome verdict = CheckOutcome::kPassed;
  std::string detail = {};  // of a failure what differs where; why a row was not checked
};

// What a case's runs gave on this machine.
struct RegressRuns {
  RegressRecord record;               // clips with their latents
  std::vector<MetricResult> quality;  // cached against uncached, over the values of all clips
  std::string repeated_hash;          // of the first clip's cached plan, run once more
  std::uint64_t declared_cache_bytes = 0;
};

// Those that need no reference: gates, no inert cache, equal repetition, declared memory.
[[nodiscard]] std::vector<RegressCheck> own_checks(const RegressCase& regress_case,
                                                   const RegressRuns& runs);

// The record that runs are compared with: this machine's, else the one whose latents are kept.
struct RegressBaseline {
  const RegressRecord* record = nullptr;
  bool same_machine = false;
  bool has_latents = false;  // the reference keeps this record's latents
};
[[nodiscard]] RegressBaseline find_baseline(const RegressReference& reference,
                                            const std::string& machine);

// Those against the reference. On the machine of the record hashes and counts must be equal; on
// another the tolerances apply, and the memory of the process is not checked.
[[nodiscard]] std::vector<RegressCheck> reference_checks(const RegressCase& regress_case,
                                                         const RegressRuns& runs,
                                                         const RegressReference& reference);

// How two fingerprints differ: "processor: recorded X, now Y; threads: …".
[[nodiscard]] std::string fingerprint_differences(const Json& recorded, const Json& now);

// How far latents are from recorded ones, both f32 of one shape.
struct LatentDistance {
  double cosine = 0;  // 1 - cos
  double psnr = 0;    // dB; the peak is the range of the recorded latents
};
[[nodiscard]] LatentDistance latent_distance(const at::Tensor& now, const at::Tensor& recorded);

}  // namespace bw
