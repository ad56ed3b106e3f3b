#include "run/resolve.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "cache/cache_controller.h"
#include "kernels/attention.h"
#include "kernels/device.h"
#include "kernels/simd.h"
#include "output/frame_sink.h"
#include "run/cache_setup.h"
#include "run/options.h"
#include "run/report_page.h"
#include "run/run_device.h"
#include "run/write_video.h"
#include "schedule/scheduler.h"

namespace bw {
namespace fs = std::filesystem;
namespace {

// Takes a value from the request, else the fallback, and remembers which.
class Picker {
 public:
  Picker(const Request& request, std::map<std::string, std::string>& sources)
      : request_(request), sources_(sources) {}

  std::int64_t integer(const std::string& key, std::int64_t fallback, const char* source) {
    note(key, source);
    return request_.integer(key).value_or(fallback);
  }
  double number(const std::string& key, double fallback, const char* source) {
    note(key, source);
    return request_.number(key).value_or(fallback);
  }
  std::string text(const std::string& key, const std::string& fallback, const char* source) {
    note(key, source);
    return request_.text(key).value_or(fallback);
  }

 private:
  void note(const std::string& key, const char* source) {
    sources_[key] = request_.has(key) ? request_.origin(key).name : source;
  }
  const Request& request_;
  std::map<std::string, std::string>& sources_;
};

// Whether the form fits the model's shapes is known once it is loaded (attention_choice.h).
std::string resolve_attention(const Request& request, const ModelPlan& model, at::ScalarType dtype,
                              Picker& pick) {
  std::string asked = pick.text("attention", "rule", "default");
  if (asked == "rule") return asked;
  const Origin origin = request.origin("attention");
  if (!model.rewrite) reject(origin, "needs the fused operators; leave --no-rewrite out");
  const std::optional<AttentionForm> form = find_attention_form(asked);
  if (!form) return asked;
  const std::string obstacle =
      attention_obstacle(*form, parse_device(model.device, request.origin("device")), dtype);
  if (!obstacle.empty()) {
    reject(origin, "'" + asked + "' " + obstacle + "; choose sdpa, plain or auto");
  }
  return asked;
}

// what: what to leave out.
void check_int8(const ModelPlan& model, const Origin& origin, const std::string& what) {
  if (!has_int8_products()) {
    reject(origin,
           "needs a processor with AVX-512 VNNI, which this one is not; leave " + what + " out");
  }
  if (!model.rewrite) reject(origin, "needs the fused operators; leave --no-rewrite out");
  if (model.device != "cpu") {
    reject(origin, "runs on the CPU alone; leave " + what + " out with --device " + model.device);
  }
}

ModelPlan resolve_model(const Request& request, const Manifest& manifest, Picker& pick) {
  ModelPlan model;
  model.bundle = manifest.directory;
  model.dtype = pick.text("dtype", default_dtype(manifest), "default");
  const at::ScalarType dtype = find_dtype(manifest, model.dtype, request.origin("dtype"));
  const std::string device = pick.text("device", "cpu", "default");
  model.device = parse_device(device, request.origin("device")).str();
  model.deterministic = request.flag("deterministic");
  const auto cores = static_cast<std::int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  model.threads = static_cast<int>(pick.integer("threads", cores, "default"));
  model.rewrite = !request.flag("no_rewrite");
  model.quantize = pick.text("quantize", "none", "default");
  if (model.quantize != "none") check_int8(model, request.origin("quantize"), "it");
  model.attention = resolve_attention(request, model, dtype, pick);
  return model;
}

void resolve_prompt(const Request& request, const Manifest& manifest, Picker& pick,
                    ClipPlan& clip) {
  clip.prompt_embeds = request.path("prompt_embeds");
  clip.prompt = pick.text("prompt", "", "default");
  clip.negative_prompt = pick.text("negative_prompt", manifest.defaults.negative_prompt, "bundle");
  for (const char* key : {"prompt", "negative_prompt"}) {
    const std::string value = request.text(key).value_or("");
    if (!is_valid_utf8(value)) reject(request.origin(key), "is not valid UTF-8");
  }
  if (clip.prompt_embeds) {
    if (request.has("prompt")) {
      reject(request.origin("prompt"), "cannot be given together with --prompt-embeds");
    }
    return;
  }
  if (manifest.text_encoder.empty()) {
    reject(request.origin("prompt_embeds"),
           "is needed: the model '" + manifest.name + "' has no text encoder");
  }
  const bool blank = clip.prompt.find_first_not_of(" \t\r\n") == std::string::npos;
  if (blank) {
    reject(request.origin("prompt"),
           std::string(request.has("prompt") ? "is empty" : "is missing") +
               "; say what the clip should show, e.g. --prompt \"a red fox\"");
  }
}

LatentShape resolve_size(const Request& request, const Manifest& manifest, Picker& pick,
                         ClipPlan& clip) {
  const ClipDefaults& defaults = manifest.defaults;
  clip.width = pick.integer("width", defaults.size.width, "bundle");
  clip.height = pick.integer("height", defaults.size.height, "bundle");
  clip.num_frames = pick.integer("num_frames", defaults.size.num_frames, "bundle");
  clip.fps = pick.number("fps", defaults.fps, "bundle");
  return latent_shape(
      manifest, {clip.width, clip.height, clip.num_frames},
      {request.origin("width"), request.origin("height"), request.origin("num_frames")});
}

void resolve_sampling(const Request& request, const Manifest& manifest, Picker& pick,
                      ClipPlan& clip, std::int64_t tokens) {
  const auto bundle_class = manifest.scheduler.at("_class_name").get<std::string>();
  const std::string wanted = pick.text("sampler", bundle_class, "bundle");
  const Origin origin =
      request.has("sampler") ? request.origin("sampler") : Origin::file("model.json: scheduler");
  const SchedulerInfo& info = find_scheduler(wanted, origin);
  check_prediction_type(info, manifest.prediction_type, origin);
  clip.sampler = info.name;
  clip.steps = pick.integer("steps", manifest.defaults.steps, "bundle");
  clip.scheduler =
      info.class_name == bundle_class ? manifest.scheduler : config_for(info, manifest.scheduler);
  // The shift that is there already stays as it is written, so that a recorded plan resolves to
  // itself.
  const auto shift = request.number("flow_shift");
  if (shift && !(clip.scheduler.value("shift", 0.0) == *shift &&
                 !clip.scheduler.value("use_dynamic_shifting", false))) {
    clip.scheduler = with_shift(std::move(clip.scheduler), *shift);
  }
  // Made once here so that a bad value is known now; the run makes its own.
  (void)info.make(clip.scheduler, origin, {clip.steps, tokens});
}

// Small products do not fill the cores, so two branches at once are faster; where they do, a batch
// only needs twice the memory (docs/performance.md has the measurements). A rule on the size alone,
// so that equal plans give equal bytes.
bool is_batched(const std::string& asked, const Manifest& manifest, const LatentShape& shape) {
  constexpr std::int64_t kBatchedTokens = 512;
  if (asked != "auto") return asked == "batched";
  std::int64_t tokens = 0;
  for (const StreamInfo& stream : manifest.streams) tokens += num_tokens(manifest, stream, shape);
  return tokens <= kBatchedTokens;
}

GuidancePlan resolve_guidance(const Request& request, const Manifest& manifest, Picker& pick,
                              const LatentShape& shape) {
  GuidancePlan guidance;
  guidance.scale = pick.number("guidance_scale", manifest.defaults.guidance_scale, "bundle");
  guidance.rescale = pick.number("guidance_rescale", 0, "default");
  guidance.start = pick.number("guidance_start", 0, "default");
  guidance.end = pick.number("guidance_end", 1, "default");
  guidance.batched = is_batched(pick.text("guidance_batching", "auto", "default"), manifest, shape);
  guidance.distilled = manifest.guidance == GuidanceKind::kDistilled;
  guidance.enabled = manifest.guidance == GuidanceKind::kCfg && guidance.scale != 1;
  if (manifest.guidance == GuidanceKind::kNone && request.has("guidance_scale") &&
      guidance.scale != 1) {
    reject(request.origin("guidance_scale"),
           "the model '" + manifest.name + "' takes no guidance; leave it out");
  }
  if (guidance.start > guidance.end) {
    reject(request.origin("guidance_start"), "must not be after --guidance-end");
  }
  return guidance;
}

std::int64_t resolve_seed(Picker& pick) {
  const std::int64_t seed = pick.integer("seed", 42, "default");
  return seed >= 0 ? seed : static_cast<std::int64_t>(std::random_device{}());
}

OutputPlan resolve_output(const Request& request, Picker& pick) {
  OutputPlan output;
  output.video = pick.text("output", "out.mp4", "default");
  (void)find_writer(output.video);
  output.codec = pick.text("codec", "", "default");
  if (const auto crf = request.integer("crf")) output.crf = static_cast<int>(*crf);
  output.encoder_preset = pick.text("encoder_preset", "", "default");
  output.metadata = !request.flag("no_metadata");
  fs::path beside = output.video;
  beside.replace_extension(".json");
  const std::string report = pick.text("report", beside.string(), "default");
  if (is_page_path(report)) {
    output.page = report;
    output.report = beside;
  } else if (report != "none") {
    output.report = report;
  }
  output.latents = request.path("save_latents");
  return output;
}

// One file would overwrite the other.
void check_distinct(const OutputPlan& output) {
  const auto name = [](const fs::path& path) { return fs::absolute(path).lexically_normal(); };
  if (output.report && name(*output.report) == name(output.video)) {
    throw UsageError("--report: is the same file as --output, " + output.video.string());
  }
  if (output.page && output.latents && name(*output.page) == name(*output.latents)) {
    throw UsageError("--save-latents: is the same file as --report, " + output.page->string());
  }
  if (!output.latents) return;
  if (name(*output.latents) == name(output.video)) {
    throw UsageError("--save-latents: is the same file as --output, " + output.video.string());
  }
  if (output.report && name(*output.report) == name(*output.latents)) {
    throw UsageError("--save-latents: is the same file as --report, " + output.report->string());
  }
}

}  // namespace

fs::path find_bundle(const Request& request) {
  if (const auto model = request.path("model")) return *model;
  if (const char* model = std::getenv("BWCACHE_MODEL"); model != nullptr && *model != '\0')
    return model;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::vector<fs::path> places = {program / "../share/bwcache-gen/default",
                                        BW_DEFAULT_BUNDLE};
  for (const fs::path& place : places) {
    if (fs::exists(place / "model.json", ignored)) return place.lexically_normal();
  }
  throw InputError(
      "no model: --model was not given, $BWCACHE_MODEL is not set, and there is no default bundle "
      "in '" +
      places[0].lexically_normal().string() + "' or '" + places[1].string() + "'");
}

std::string default_dtype(const Manifest& manifest) {
  const std::vector<std::string> dtypes = runnable_dtypes(manifest);
  if (dtypes.empty()) {
    throw InputError(manifest.directory.string() + ": no dtype has all the archives a run needs");
  }
  const bool has_bf16 = std::ranges::find(dtypes, "bfloat16") != dtypes.end();
  return has_bf16 ? "bfloat16" : dtypes.front();
}

Plan resolve(const Request& request, const Manifest& manifest) {
  if (manifest.decoder.empty()) {
    throw InputError(manifest.directory.string() + ": the model '" + manifest.name +
                     "' has no video decoder, so it cannot make a video; export it with one");
  }
  Plan plan;
  Picker pick(request, plan.sources);
  plan.model = resolve_model(request, manifest, pick);
  resolve_prompt(request, manifest, pick, plan.clip);
  const LatentShape shape = resolve_size(request, manifest, pick, plan.clip);
  resolve_sampling(request, manifest, pick, plan.clip, shape.positions());
  plan.clip.guidance = resolve_guidance(request, manifest, pick, shape);
  plan.clip.seed = resolve_seed(pick);
  plan.clip.noise = request.path("noise");
  plan.clip.cache = resolve_cache(request, manifest);
  plan.model.int8_variant = wants_int8(plan.clip.cache);
  if (plan.model.int8_variant) {
    check_int8(plan.model, Origin::flag("--cache " + plan.clip.cache.policy + ", blocks in int8"),
               "int8_below");
  }
  plan.sources["cache"] = request.has("cache")             ? request.origin("cache").name
                          : request.has("cache_threshold") ? request.origin("cache_threshold").name
                          : request.has("cache_replay")    ? request.origin("cache_replay").name
                                                           : "bundle";
  plan.clip.output = resolve_output(request, pick);
  return plan;
}

void check_plan(const Plan& plan, const Manifest& manifest) {
  open_run_device(plan.model);
  const OutputPlan& output = plan.clip.output;
  const VideoFormat format{static_cast<int>(plan.clip.width), static_cast<int>(plan.clip.height),
                           plan.clip.fps, plan.clip.num_frames};
  find_writer(output.video).check(output.video, format, encode_options(plan));
  check_distinct(output);
  if (output.report) check_writable(*output.report);
  if (output.page) check_writable(*output.page);
  check_writable(latents_path(plan));
  const LatentShape shape = plan_latent_shape(plan, manifest);
  if (plan.clip.noise) (void)read_noise(*plan.clip.noise, shape);
  if (plan.clip.prompt_embeds) (void)read_prompt_embeds(*plan.clip.prompt_embeds);
  const auto schedule = make_schedule(plan, shape);
  const CacheController within_budget(make_cache_setup(plan, manifest, *schedule));
}

}  // namespace bw
