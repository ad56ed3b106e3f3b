#include "run/bench.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/stopwatch.h"
#include "output/frame_sink.h"
#include "run/cache_setup.h"
#include "run/environment.h"
#include "run/raw_clip.h"

namespace bw {
namespace {

// Encodes to a scratch file, so that the time of the format asked for is part of the measurement.
double time_encoding(const Plan& plan, const at::Tensor& frames) {
  const std::filesystem::path scratch =
      std::filesystem::temp_directory_path() /
      ("bwcache-bench" + plan.clip.output.video.extension().string());
  const VideoFormat format{static_cast<int>(plan.clip.width), static_cast<int>(plan.clip.height),
                           plan.clip.fps, plan.clip.num_frames};
  const Stopwatch watch;
  const auto sink = find_writer(scratch).make(scratch, format, encode_options(plan));
  sink->write(frames);
  sink->finish();
  const double seconds = watch.seconds();
  std::filesystem::remove(scratch);
  return seconds;
}

class Bench {
 public:
  Bench(const Bundle& model, const BenchSetup& setup, Observer& observer)
      : model_(model),
        setup_(setup),
        observer_(observer),
        quiet_(observer),
        file_(setup.rows),
        total_(static_cast<std::int64_t>(setup.prompts.size() * setup.seeds.size()) *
               setup.repeat) {
    for (const BenchArm& arm : setup.arms) {
      identities_.push_back(run_identity(arm.plan, model.manifest().hash));
    }
  }

  std::vector<MeasuredRun> run() {
    for (const std::string& prompt : setup_.prompts) {
      for (const std::int64_t seed : setup_.seeds) {
        std::vector<MeasuredRun> rows = kept_rows(prompt, seed);
        if (rows.empty()) {
          rows = run_clip(prompt, seed);
          file_.append(rows);
        } else {
          tick(setup_.repeat);
        }
        all_.insert(all_.end(), rows.begin(), rows.end());
      }
    }
    return std::move(all_);
  }

 private:
  // All rows of a clip, or none: runs of one clip are compared with each other, so they are made in
  // one go.
  std::vector<MeasuredRun> kept_rows(const std::string& prompt, std::int64_t seed) const {
    std::vector<MeasuredRun> rows;
    for (std::size_t i = 0; i < setup_.arms.size(); ++i) {
      for (int round = 0; round < setup_.repeat; ++round) {
        const auto found =
            std::find_if(file_.rows().begin(), file_.rows().end(), [&](const MeasuredRun& row) {
              return row.identity == identities_[i] && row.arm == setup_.arms[i].name &&
                     row.prompt == prompt && row.seed == seed && row.round == round;
            });
        if (found == file_.rows().end()) return {};
        rows.push_back(*found);
      }
    }
    return rows;
  }

  std::vector<MeasuredRun> run_clip(const std::string& prompt, std::int64_t seed) {
    std::optional<at::Tensor> reference;
    if (setup_.reference) reference = reference_frames(prompt, seed);
    // Warming up once is enough: the clips share one loaded model.
    const int warmup = warm_ ? 0 : setup_.warmup;
    std::vector<MeasuredRun> rows;
    std::vector<std::map<std::string, double>> quality(setup_.arms.size());
    for (int round = -warmup; round < setup_.repeat; ++round) {
      at::Tensor base;
      for (std::size_t i = 0; i < setup_.arms.size(); ++i) {
        const BenchArm& arm = setup_.arms[i];
        reset_peak_memory();
        const RawClip clip = make_raw_clip(model_, with_clip(arm.plan, prompt, seed), quiet_);
        if (i == 0) base = clip.frames;
        if (round < 0) continue;
        MeasuredRun row = measure(clip, arm.name, time_encoding(arm.plan, clip.frames));
        row.round = round;
        if (round == 0) {  // equal plans give equal frames
          if (i > 0) add_quality(row, clip.frames, base, "");
          if (reference) add_quality(row, clip.frames, *reference, "_reference");
          quality[i] = row.quality;
          keep_latents(arm, clip);
        }
        row.quality = quality[i];
        rows.push_back(std::move(row));
      }
      warm_ = true;
      if (round >= 0) tick(1);
    }
    return rows;
  }

  std::filesystem::path latents_file(const Plan& plan) const {
    const std::string clip = plan.clip.prompt + "\n" + std::to_string(plan.clip.seed);
    return setup_.latents / (run_identity(plan, model_.manifest().hash) + "-" +
                             sha256(clip).substr(0, 12) + ".safetensors");
  }

  void keep_latents(const BenchArm& arm, const RawClip& clip) const {
    if (setup_.latents.empty()) return;
    const Report& report = clip.report;
    write_latents(latents_file(report.plan), {clip.latents, plan_to_json(report.plan, false),
                                              report.bundle_hash, arm.plan.clip.steps});
  }

  at::Tensor reference_frames(const std::string& prompt, std::int64_t seed) {
    const Plan plan = with_clip(setup_.reference->plan, prompt, seed);
    if (!setup_.latents.empty() && std::filesystem::exists(latents_file(plan))) {
      return decode_frames(model_, read_latents(latents_file(plan)).latents);
    }
    const RawClip clip = make_raw_clip(model_, plan, quiet_);
    keep_latents(*setup_.reference, clip);
    return clip.frames;
  }

  void tick(std::int64_t rounds) { observer_.step(done_ += rounds, total_, "rounds"); }

  const Bundle& model_;
  const BenchSetup& setup_;
  Observer& observer_;
  QuietObserver quiet_;
  MeasuredRunFile file_;
  std::vector<std::string> identities_;  // of the arms
  std::vector<MeasuredRun> all_;
  bool warm_ = false;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace

void check_one_model(const BenchSetup& setup) {
  const auto parts = [](const ModelPlan& plan) {
    return std::tie(plan.bundle, plan.dtype, plan.device, plan.threads, plan.rewrite, plan.quantize,
                    plan.attention);
  };
  const auto check = [&](const BenchArm& arm) {
    if (parts(arm.plan.model) == parts(setup.arms.front().plan.model)) return;
    throw UsageError("the arm '" + arm.name +
                     "' needs another model, dtype, device, thread count, attention or form of its "
                     "code than the first; time those in runs of their own");
  };
  std::set<std::string> names;
  for (const BenchArm& arm : setup.arms) {
    check(arm);
    if (!names.insert(arm.name).second) {
      throw UsageError("two arms are named '" + arm.name + "'");
    }
  }
  if (setup.reference) check(*setup.reference);
}

std::vector<MeasuredRun> bench(const Bundle& model, const BenchSetup& setup, Observer& observer) {
  return Bench(model, setup, observer).run();
}

}  // namespace bw
