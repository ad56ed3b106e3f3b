#include "run/regress_reference.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr const char* kKind = "bwcache-gen regress reference";

std::string again(const RegressCase& regress_case) {
  return "make it anew with `bwcache-gen regress " + regress_case.file.string() + " --update`";
}

std::string tensor_name(std::size_t clip, const char* run) {
  std::string name = "clip";
  name += std::to_string(clip);
  return name += std::string(".") + run;
}

Json clip_to_json(const RegressClip& clip) {
  Json counts = Json::object();
  for (std::size_t i = 0; i < kReuseCounts.size(); ++i) {
    counts[kReuseCounts[i]] = {{"total", clip.counts[i].total}, {"reused", clip.counts[i].reused}};
  }
  return {{"prompt", clip.prompt},
          {"seed", clip.seed},
          {"uncached_latents_sha256", clip.uncached_hash},
          {"cached_latents_sha256", clip.cached_hash},
          {"computed_fraction", clip.computed_fraction},
          {"counts", counts},
          {"cache_bytes", clip.cache_bytes}};
}

std::int64_t count(JsonObject& object, const std::string& key) {
  const std::int64_t value = object.integer(key);
  if (value < 0) reject(object.at(key), "must be at least 0, got " + std::to_string(value));
  return value;
}

RegressClip clip_from_json(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  RegressClip clip;
  clip.prompt = object.text("prompt");
  clip.seed = object.integer("seed");
  clip.uncached_hash = object.text("uncached_latents_sha256");
  clip.cached_hash = object.text("cached_latents_sha256");
  clip.computed_fraction = object.number("computed_fraction");
  clip.cache_bytes = static_cast<std::uint64_t>(count(object, "cache_bytes"));
  JsonObject counts(object.require("counts"), object.at("counts"));
  for (std::size_t i = 0; i < kReuseCounts.size(); ++i) {
    JsonObject one(counts.require(kReuseCounts[i]), counts.at(kReuseCounts[i]));
    clip.counts[i] = {count(one, "total"), count(one, "reused")};
    one.finish();
  }
  counts.finish();
  object.finish();
  return clip;
}

Json record_to_json(const RegressRecord& record) {
  Json clips = Json::array();
  for (const RegressClip& clip : record.clips) clips.push_back(clip_to_json(clip));
  return {{"fingerprint", record.fingerprint},
          {"provenance", record.provenance},
          {"peak_memory_bytes", record.peak_memory_bytes},
          {"clips", clips}};
}

RegressRecord record_from_json(const Json& json, const Origin& origin, std::size_t num_clips) {
  JsonObject object(json, origin);
  RegressRecord record;
  record.fingerprint = object.require("fingerprint");
  (void)JsonObject(record.fingerprint, object.at("fingerprint"));
  record.provenance = object.require("provenance");
  (void)JsonObject(record.provenance, object.at("provenance"));
  record.peak_memory_bytes = static_cast<std::uint64_t>(count(object, "peak_memory_bytes"));
  const Json& clips = object.require("clips");
  if (!clips.is_array() || clips.size() != num_clips) {
    reject(object.at("clips"), "must list " + std::to_string(num_clips) +
                                   " clips, one per prompt and seed of the plan");
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const Origin place = entry_of(object.at("clips"), i);
    record.clips.push_back(clip_from_json(clips[i], place));
  }
  object.finish();
  return record;
}

at::Tensor take_latents(const Safetensors& file, const fs::path& path, const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end() || found->second.dim() != 5) {
    throw InputError(path.string() + ": holds no latents '" + name + "'");
  }
  return found->second.to(at::kFloat);
}

void read_latents_of(const RegressCase& regress_case, const std::string& hash,
                     std::size_t num_clips, RegressReference& reference) {
  const fs::path path = reference_latents_path(regress_case);
  if (!fs::exists(path)) {
    throw InputError(path.string() + ": does not exist; copy it from where " +
                     regress_case.reference.filename().string() + " came from, or " +
                     again(regress_case));
  }
  if (sha256_file(path) != hash) {
    throw InputError(path.string() + ": was not written together with " +
                     regress_case.reference.string() + "; take both from one place, or " +
                     again(regress_case));
  }
  const Safetensors file = read_safetensors(path);
  for (std::size_t i = 0; i < num_clips; ++i) {
    reference.uncached_latents.push_back(take_latents(file, path, tensor_name(i, "uncached")));
    reference.cached_latents.push_back(take_latents(file, path, tensor_name(i, "cached")));
  }
}

}  // namespace

Json regress_plan_to_json(const RegressCase& regress_case, const Plan& cached) {
  Json plan = plan_to_json(cached, false);
  for (const char* key : {"threads", "device", "prompt", "seed", "output"}) plan.erase(key);
  plan["prompts"] = regress_case.prompts;
  plan["seeds"] = regress_case.seeds;
  return plan;
}

fs::path reference_latents_path(const RegressCase& regress_case) {
  fs::path path = regress_case.reference;
  return path.replace_extension(".safetensors");
}

RegressReference read_regress_reference(const RegressCase& regress_case) {
  const fs::path& path = regress_case.reference;
  if (!fs::exists(path)) {
    throw InputError(path.string() + ": there is no reference yet; " + again(regress_case));
  }
  const Json json = read_json_file(path);
  JsonObject object(json, Origin::file(path.string() + ": "));
  if (const std::int64_t version = object.integer("format_version"); version != kFormatVersion) {
    reject(object.at("format_version"), "is " + std::to_string(version) + ", this program reads " +
                                            std::to_string(kFormatVersion) + "; " +
                                            again(regress_case));
  }
  if (object.text("kind") != kKind) reject(object.at("kind"), std::string("must be ") + kKind);
  if (const std::string name = object.text("case"); name != regress_case.name) {
    reject(object.at("case"), "is '" + name + "', but the case is '" + regress_case.name + "'; " +
                                  again(regress_case));
  }
  RegressReference reference;
  reference.plan = object.require("plan");
  JsonObject plan(reference.plan, object.at("plan"));
  const std::size_t num_clips = plan.require("prompts").size() * plan.require("seeds").size();
  JsonObject bundle(object.require("bundle"), object.at("bundle"));
  reference.bundle_name = bundle.text("name");
  reference.bundle_hash = bundle.text("sha256");
  bundle.finish();
  JsonObject latents(object.require("latents"), object.at("latents"));
  reference.latents_of = latents.text("machine");
  const std::string hash = latents.text("sha256");
  latents.finish();
  const Json& machines = object.require("machines");
  (void)JsonObject(machines, object.at("machines"));
  for (const auto& [name, record] : machines.items()) {
    const Origin place = object.at("machines").at(name);
    reference.machines.emplace(name, record_from_json(record, place, num_clips));
  }
  object.finish();
  if (!reference.machines.contains(reference.latents_of)) {
    reject(latents.at("machine"), "names '" + reference.latents_of + "', which is not recorded");
  }
  read_latents_of(regress_case, hash, num_clips, reference);
  return reference;
}

void write_regress_reference(const RegressCase& regress_case, const RegressReference& reference) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (std::size_t i = 0; i < reference.uncached_latents.size(); ++i) {
    tensors.emplace_back(tensor_name(i, "uncached"), reference.uncached_latents[i].to(at::kHalf));
    tensors.emplace_back(tensor_name(i, "cached"), reference.cached_latents[i].to(at::kHalf));
  }
  for (const auto& [name, tensor] : tensors) {
    if (tensor.isfinite().all().item<bool>()) continue;
    throw GateError(regress_case.name + ": the latents " + name +
                    " are beyond the numbers of float16; nothing was written");
  }
  PendingFile latents(reference_latents_path(regress_case));
  PendingFile document(regress_case.reference);
  write_safetensors(latents.path(), tensors, {{"format", kKind}});
  Json machines = Json::object();
  for (const auto& [name, record] : reference.machines) machines[name] = record_to_json(record);
  const Json json = {
      {"format_version", kFormatVersion},
      {"kind", kKind},
      {"case", regress_case.name},
      {"plan", reference.plan},
      {"bundle", {{"name", reference.bundle_name}, {"sha256", reference.bundle_hash}}},
      {"latents", {{"machine", reference.latents_of}, {"sha256", sha256_file(latents.path())}}},
      {"machines", machines}};
  write_file(document.path(), json.dump(1) + "\n");
  latents.commit();
  document.commit();
}

}  // namespace bw
