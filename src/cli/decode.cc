#include <CLI/CLI.hpp>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "run/cache_setup.h"
#include "run/generate.h"
#include "run/latents.h"
#include "run/options.h"
#include "run/resolve.h"
#include "run/run_record.h"
#include "run/write_video.h"

namespace bw {
namespace {

struct DecodeOptions {
  std::string latents;
  RunFlags flags;
};

// "fox.latents.safetensors" and "fox.safetensors" become "fox.mp4".
std::string default_output(std::filesystem::path latents) {
  latents.replace_extension();
  if (latents.extension() == ".latents") latents.replace_extension();
  return latents.string() + ".mp4";
}

// What decoding depends on: everything else is in the latents.
bool concerns_decoding(const OptionInfo& option) {
  return option.key == "model" || option.key == "threads" || option.key == "device" ||
         option.key == "deterministic" || option.key == "fps" ||
         (option.group == OptionGroup::kOutput && option.key != "report" &&
          option.key != "save_latents");
}

void run_decode(const DecodeOptions& options, const TalkOptions& talk) {
  const SavedLatents saved = read_latents(options.latents);
  Request request;
  add_recorded_plan(request, {saved.plan, saved.bundle, {}}, options.latents);
  request.adopt(options.flags.request());
  if (!request.has("output")) {
    request.set("output", default_output(options.latents), Origin::flag("--output"));
  }
  request.set("report", "none", Origin::flag("--report"));
  const Manifest manifest = Bundle::open(find_bundle(request));
  if (manifest.hash != saved.bundle) {
    throw InputError(options.latents + ": was made by another model (" +
                     saved.bundle.substr(0, 12) + "…) than " + manifest.directory.string() + " (" +
                     manifest.hash.substr(0, 12) + "…)");
  }
  Report report;
  report.plan = resolve(request, manifest);
  report.bundle_name = manifest.name;
  report.bundle_hash = manifest.hash;
  const LatentShape shape = plan_latent_shape(report.plan, manifest);
  if (saved.latents.sizes() != at::IntArrayRef(shape.sizes(1))) {
    throw InputError(options.latents +
                     ": the latents do not have the size of the clip in their own plan");
  }
  check_plan(report.plan, manifest);
  LoadOptions load = prepare_load(report.plan.model, manifest);
  load.with_text_encoder = false;
  load.with_denoiser = false;
  const auto model = Bundle::load(manifest, load);
  const auto observer = make_observer(talk.progress);
  write_video(*model, saved.latents, report, *observer);
  if (talk.json) {
    std::cout << Json{{"path", report.output.path},
                      {"bytes", report.output.bytes},
                      {"num_frames", report.output.num_frames}}
                     .dump(1)
              << '\n';
  } else {
    std::cout << report.output.path << '\n';
  }
}

}  // namespace

std::function<void()> add_decode_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<DecodeOptions>();
  app.add_option("latents", options->latents, "file of --save-latents")->required();
  options->flags.add_to(app, concerns_decoding);
  return [options, &talk] { run_decode(*options, talk); };
}

}  // namespace bw
