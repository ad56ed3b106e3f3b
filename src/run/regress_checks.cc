#include "run/regress_checks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "base/check.h"
#include "base/files.h"
#include "base/text.h"
#include "run/environment.h"

namespace bw {
namespace {

std::string number(double value) { return significant(value, 6); }

// JSON has no infinity.
Json value_of(double value) { return std::isfinite(value) ? Json(value) : Json(number(value)); }

CheckOutcome verdict_of(bool holds) {
  return holds ? CheckOutcome::kPassed : CheckOutcome::kFailed;
}

std::string clip_name(const RegressClip& clip) {
  std::string name = "\"";
  name += clip.prompt;
  return name += "\", seed " + std::to_string(clip.seed);
}

// Whose value was the worst: the values of all clips stand one clip after the other.
std::string worst_text(const MetricResult& result, std::span<const RegressClip> clips) {
  const auto per_clip = static_cast<std::int64_t>(result.values.size() / clips.size());
  const std::int64_t place = result.worst_frame % per_clip;
  std::string text = "the worst value is " + number(result.worst) + ", of ";
  text += clip_name(clips[static_cast<std::size_t>(result.worst_frame / per_clip)]);
  if (result.value_of == ValueOf::kClip) return text;
  text += ", frame " + std::to_string(place);
  if (result.value_of == ValueOf::kTransition) text += " to " + std::to_string(place + 1);
  return text;
}

RegressCheck gate_check(const Gate& gate, const RegressRuns& runs) {
  const auto result = std::ranges::find(runs.quality, gate.metric, &MetricResult::name);
  BW_CHECK(result != runs.quality.end(), gate.metric);
  const auto violations = check_gates({&gate, 1}, runs.quality, "");
  const std::string what = gate.metric + " " + gate.statistic + " ";
  RegressCheck check{.name = "quality." + gate.metric + "." + gate.statistic,
                     .value = value_of(statistic_of(*result, gate.statistic)),
                     .limit = describe(gate).substr(what.size()),
                     .verdict = verdict_of(violations.empty())};
  if (!violations.empty()) check.detail = worst_text(*result, runs.record.clips);
  return check;
}

bool is_inert(const RegressClip& clip) {
  return std::ranges::all_of(clip.counts,
                             [](const ReuseCount& count) { return count.reused == 0; });
}

// How many clips fail a test, none of which may; the first of them is named.
template <typename Fails, typename Detail>
RegressCheck none_may(const std::string& name, const std::string& limit,
                      std::span<const RegressClip> clips, Fails fails, Detail detail) {
  RegressCheck check{.name = name, .limit = limit};
  std::int64_t failed = 0;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (!fails(i)) continue;
    if (failed++ == 0) check.detail = clip_name(clips[i]) + ": " + detail(i);
  }
  check.value = failed;
  check.verdict = verdict_of(failed == 0);
  return check;
}

RegressCheck inert_check(std::span<const RegressClip> clips) {
  return none_may(
      "cache.inert", "0 clips", clips, [&](std::size_t i) { return is_inert(clips[i]); },
      [](std::size_t) { return "the cache reused nothing"; });
}

double mean_fraction(std::span<const RegressClip> clips) {
  double sum = 0;
  for (const RegressClip& clip : clips) sum += clip.computed_fraction;
  return sum / static_cast<double>(clips.size());
}

RegressCheck fraction_check(const RegressRecord& now, const RegressRecord& recorded,
                            double tolerance) {
  const double value = mean_fraction(now.clips);
  const double wanted = mean_fraction(recorded.clips);
  RegressCheck check{.name = "cache.computed_fraction",
                     .value = value,
                     .limit = number(wanted) + " +- " + number(tolerance),
                     .verdict = verdict_of(std::abs(value - wanted) <= tolerance)};
  if (check.verdict == CheckOutcome::kFailed) {
    check.detail = value > wanted ? "the cache reuses less than it did" : "the cache reuses more";
  }
  return check;
}

bool is_near(const ReuseCount& now, const ReuseCount& recorded, double tolerance) {
  if (now.total != recorded.total) return false;
  const auto apart = static_cast<double>(std::abs(now.reused - recorded.reused));
  return apart <= tolerance * static_cast<double>(now.total);
}

RegressCheck count_check(std::size_t kind, const RegressRecord& now,
                         const RegressBaseline& baseline, double tolerance) {
  const auto& clips = now.clips;
  const auto& recorded = baseline.record->clips;
  const auto fails = [&](std::size_t i) {
    const ReuseCount& a = clips[i].counts[kind];
    const ReuseCount& b = recorded[i].counts[kind];
    return baseline.same_machine ? !(a == b) : !is_near(a, b, tolerance);
  };
  const auto text = [](const ReuseCount& count) {
    return std::to_string(count.reused) + " of " + std::to_string(count.total);
  };
  const auto detail = [&](std::size_t i) {
    return text(clips[i].counts[kind]) + " reused, recorded " + text(recorded[i].counts[kind]);
  };
  const std::string limit =
      baseline.same_machine ? "0 clips differ" : "0 clips beyond " + number(tolerance);
  return none_may(std::string("decisions.") + kReuseCounts[kind], limit, clips, fails, detail);
}

// The cached or the uncached half of a case.
struct LatentsHalf {
  std::string name;
  const at::Tensor RegressClip::*latents;
  const std::string RegressClip::*hash;
  const std::vector<at::Tensor>* recorded;
};

std::string distance_text(const at::Tensor& now, const at::Tensor& recorded) {
  if (now.sizes() != recorded.sizes()) return "latents of another shape";
  const LatentDistance distance = latent_distance(now, recorded);
  return "cosine distance " + number(distance.cosine) + ", PSNR " + number(distance.psnr) + " dB";
}

RegressCheck hash_check(const LatentsHalf& half, const RegressRecord& now,
                        const RegressBaseline& baseline) {
  const auto fails = [&](std::size_t i) {
    return now.clips[i].*half.hash != baseline.record->clips[i].*half.hash;
  };
  const auto detail = [&](std::size_t i) {
    std::string text = "other latents than this machine recorded";
    if (baseline.has_latents)
      text += ": " + distance_text(now.clips[i].*half.latents, (*half.recorded)[i]);
    return text;
  };
  return none_may("latents." + half.name + ".hash", "0 clips differ", now.clips, fails, detail);
}

std::vector<RegressCheck> distance_checks(const LatentsHalf& half, const RegressRecord& now,
                                          const RegressTolerance& tolerance) {
  RegressCheck cosine{.name = "latents." + half.name + ".cosine",
                      .limit = "<= " + number(tolerance.cosine)};
  RegressCheck psnr{.name = "latents." + half.name + ".psnr",
                    .limit = ">= " + number(tolerance.psnr) + " dB"};
  double farthest = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < now.clips.size(); ++i) {
    const at::Tensor& latents = now.clips[i].*half.latents;
    const at::Tensor& recorded = (*half.recorded)[i];
    LatentDistance distance{std::numeric_limits<double>::infinity(),
                            -std::numeric_limits<double>::infinity()};
    if (latents.sizes() == recorded.sizes()) distance = latent_distance(latents, recorded);
    farthest = std::max(farthest, distance.cosine);
    lowest = std::min(lowest, distance.psnr);
    const std::string text = clip_name(now.clips[i]) + ": " + distance_text(latents, recorded);
    if (!(distance.cosine <= tolerance.cosine) && cosine.detail.empty()) cosine.detail = text;
    if (!(distance.psnr >= tolerance.psnr) && psnr.detail.empty()) psnr.detail = text;
  }
  cosine.value = value_of(farthest);
  cosine.verdict = verdict_of(cosine.detail.empty());
  psnr.value = value_of(lowest);
  psnr.verdict = verdict_of(psnr.detail.empty());
  return {cosine, psnr};
}

RegressCheck bytes_check(const std::string& name, std::uint64_t now, std::uint64_t recorded,
                         double tolerance) {
  const double apart = std::abs(static_cast<double>(now) - static_cast<double>(recorded));
  const bool holds = apart <= tolerance * static_cast<double>(recorded);
  RegressCheck check{.name = name,
                     .value = now,
                     .limit = std::to_string(recorded) + " +- " + number(100 * tolerance) + " %",
                     .verdict = verdict_of(holds)};
  if (!holds) check.detail = format_bytes(now) + ", recorded " + format_bytes(recorded);
  return check;
}

std::uint64_t most_cache_bytes(const RegressRecord& record) {
  std::uint64_t most = 0;
  for (const RegressClip& clip : record.clips) most = std::max(most, clip.cache_bytes);
  return most;
}

}  // namespace

LatentDistance latent_distance(const at::Tensor& now, const at::Tensor& recorded) {
  const at::Tensor a = now.to(at::kDouble).flatten();
  const at::Tensor b = recorded.to(at::kDouble).flatten();
  const auto norms = a.norm().item<double>() * b.norm().item<double>();
  const auto mse = (a - b).square().mean().item<double>();
  const auto range = (b.max() - b.min()).item<double>();
  return {1 - a.dot(b).item<double>() / norms, 10 * std::log10(range * range / mse)};
}

std::string fingerprint_differences(const Json& recorded, const Json& now) {
  std::string text;
  for (const auto& [key, value] : now.items()) {
    const Json before = recorded.contains(key) ? recorded.at(key) : Json("nothing");
    if (before == value) continue;
    if (!text.empty()) text += "; ";
    text += key + ": recorded " + before.dump() + ", now " + value.dump();
  }
  return text;
}

std::vector<RegressCheck> own_checks(const RegressCase& regress_case, const RegressRuns& runs) {
  std::vector<RegressCheck> checks;
  for (const Gate& gate : regress_case.gates) checks.push_back(gate_check(gate, runs));
  const std::vector<RegressClip>& clips = runs.record.clips;
  checks.push_back(inert_check(clips));
  const bool repeats = runs.repeated_hash == clips.front().cached_hash;
  checks.push_back({.name = "latents.repeated",
                    .value = repeats ? "equal" : "differ",
                    .limit = "equal",
                    .verdict = verdict_of(repeats),
                    .detail = repeats ? ""
                                      : clip_name(clips.front()) +
                                            ": the cached plan run twice gave two results"});
  checks.push_back(none_may(
      "memory.cache_declared", "0 clips differ", clips,
      [&](std::size_t i) { return clips[i].cache_bytes != runs.declared_cache_bytes; },
      [&](std::size_t i) {
        return std::to_string(clips[i].cache_bytes) + " bytes held, " +
               std::to_string(runs.declared_cache_bytes) + " declared";
      }));
  return checks;
}

RegressBaseline find_baseline(const RegressReference& reference, const std::string& machine) {
  const auto found = reference.machines.find(machine);
  const bool same = found != reference.machines.end();
  const RegressRecord& record = same ? found->second : reference.machines.at(reference.latents_of);
  return {&record, same, !same || machine == reference.latents_of};
}

std::vector<RegressCheck> reference_checks(const RegressCase& regress_case, const RegressRuns& runs,
                                           const RegressReference& reference) {
  const RegressRecord& now = runs.record;
  const RegressTolerance& tolerance = regress_case.tolerance;
  const RegressBaseline baseline = find_baseline(reference, fingerprint_hash(now.fingerprint));
  BW_CHECK(now.clips.size() == baseline.record->clips.size());
  std::vector<RegressCheck> checks = {
      fraction_check(now, *baseline.record, tolerance.computed_fraction)};
  for (std::size_t kind = 0; kind < kReuseCounts.size(); ++kind) {
    checks.push_back(count_check(kind, now, baseline, tolerance.computed_fraction));
  }
  const std::array halves = {LatentsHalf{"cached", &RegressClip::cached_latents,
                                         &RegressClip::cached_hash, &reference.cached_latents},
                             LatentsHalf{"uncached", &RegressClip::uncached_latents,
                                         &RegressClip::uncached_hash, &reference.uncached_latents}};
  for (const LatentsHalf& half : halves) {
    if (baseline.same_machine) {
      checks.push_back(hash_check(half, now, baseline));
    } else {
      for (RegressCheck& check : distance_checks(half, now, tolerance)) {
        checks.push_back(std::move(check));
      }
    }
  }
  checks.push_back(bytes_check("memory.cache", most_cache_bytes(now),
                               most_cache_bytes(*baseline.record), tolerance.memory));
  if (baseline.same_machine) {
    checks.push_back(bytes_check("memory.process", now.peak_memory_bytes,
                                 baseline.record->peak_memory_bytes, tolerance.memory));
  } else {
    checks.push_back({.name = "memory.process",
                      .value = nullptr,
                      .limit = "",
                      .verdict = CheckOutcome::kNotChecked,
                      .detail = "another machine recorded it"});
  }
  return checks;
}

}  // namespace bw
