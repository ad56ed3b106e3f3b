#include "run/options.h"

#include <array>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

using enum OptionKind;
using enum OptionGroup;

constexpr double kMaxSize = 16384;

const std::vector<OptionInfo>& table() {
  static const std::vector<OptionInfo> kTable = {
      {"prompt", "-p,--prompt", kText, kPrompt, {}, {}, "what the clip shows"},
      {"negative_prompt",
       "-n,--negative-prompt,--negative_prompt,--neg-prompt",
       kText,
       kPrompt,
       {},
       {},
       "what it should not show (default: the model's)"},
      {"prompt_embeds",
       "--prompt-embeds",
       kPath,
       kPrompt,
       {},
       {},
       "safetensors file with `prompt_embeds` and, for guidance, `negative_prompt_embeds` [1,T,C]; "
       "replaces the text encoder"},
      {"model",
       "-M,--model",
       kPath,
       kModel,
       {},
       {},
       "bundle folder (default: $BWCACHE_MODEL, else the default bundle)"},
      {"dtype",
       "--dtype",
       kChoice,
       kModel,
       {},
       {"float32", "bfloat16"},
       "arithmetic of the model (default: bfloat16 where the bundle has it)"},
      {"threads",
       "-t,--threads",
       kInteger,
       kModel,
       {1, 1024},
       {},
       "CPU threads (default: all cores)"},
      {"width", "-W,--width", kInteger, kClip, {1, kMaxSize}, {}, "pixels (default: the model's)"},
      {"height",
       "-H,--height",
       kInteger,
       kClip,
       {1, kMaxSize},
       {},
       "pixels (default: the model's)"},
      {"num_frames",
       "--num-frames,--frames,--video-frames,--frame_num,--video-length",
       kInteger,
       kClip,
       {1, 100000},
       {},
       "frames of the clip (default: the model's)"},
      {"fps",
       "--fps,--frame-rate",
       kNumber,
       kClip,
       {0, 1000, true},
       {},
       "frames per second (default: the model's)"},
      {"seed",
       "-s,--seed,--base_seed",
       kInteger,
       kClip,
       {-1, 9007199254740992.0},
       {},
       "seed of the noise; -1 draws one and prints it (default: 42)"},
      {"noise",
       "--noise",
       kPath,
       kClip,
       {},
       {},
       "safetensors file with `noise` [1,C,F,H,W] f32 in place of the seed's"},
      {"sampler",
       "--sampler,--sampling-method,--sample_solver,--scheduler",
       kText,
       kSampling,
       {},
       {},
       "scheduler, see `list schedulers` (default: the model's)"},
      {"steps",
       "--steps,--num-inference-steps,--infer-steps,--sample_steps",
       kInteger,
       kSampling,
       {1, 10000},
       {},
       "denoising steps (default: the model's)"},
      {"flow_shift",
       "--flow-shift,--shift,--sample_shift",
       kNumber,
       kSampling,
       {0, 1000, true},
       {},
       "shift of the noise levels (default: the model's)"},
      {"guidance_scale",
       "-g,--guidance-scale,--cfg-scale,--sample_guide_scale",
       kNumber,
       kSampling,
       {0, 1000},
       {},
       "classifier-free guidance; 1 runs the conditional branch alone (default: the model's)"},
      {"guidance_rescale",
       "--guidance-rescale",
       kNumber,
       kSampling,
       {0, 1},
       {},
       "pull the guided prediction's deviation to the conditional one's (default: 0)"},
      {"guidance_start",
       "--guidance-start",
       kNumber,
       kSampling,
       {0, 1},
       {},
       "fraction of the steps before which guidance is off (default: 0)"},
      {"guidance_end",
       "--guidance-end",
       kNumber,
       kSampling,
       {0, 1},
       {},
       "fraction of the steps after which guidance is off (default: 1)"},
      {"guidance_batching",
       "--guidance-batching",
       kChoice,
       kSampling,
       {},
       {"separate", "batched"},
       "run the two branches one after the other or as one batch of two (default: separate)"},
      {"cache",
       "--cache,--cache-mode",
       OptionKind::kCache,
       OptionGroup::kCache,
       {},
       {},
       "POLICY[:key=value,…], see `list policies`; a preset of the model by its name (default: the "
       "model's, else none)"},
      {"cache_threshold",
       "--threshold,--cache-threshold,--rdt,--residual-diff-threshold,--teacache_thresh",
       kNumber,
       OptionGroup::kCache,
       {0, 1e6},
       {},
       "the policy's own threshold; bwcache when no policy was chosen"},
      {"cache_start",
       "--cache-start",
       kNumber,
       OptionGroup::kCache,
       {0, 1},
       {},
       "fraction of the steps before which everything is computed (default: 0)"},
      {"cache_end",
       "--cache-end",
       kNumber,
       OptionGroup::kCache,
       {0, 1},
       {},
       "fraction of the steps after which everything is computed (default: 1)"},
      {"cache_warmup",
       "--cache-warmup,--ws",
       kInteger,
       OptionGroup::kCache,
       {0, 10000},
       {},
       "first steps that are always computed (default: 0)"},
      {"cache_cooldown",
       "--cache-cooldown",
       kInteger,
       OptionGroup::kCache,
       {0, 10000},
       {},
       "last steps that are always computed (default: 0)"},
      {"cache_max_consecutive",
       "--cache-max-consecutive,--mcc",
       kInteger,
       OptionGroup::kCache,
       {0, 10000},
       {},
       "most steps reused in a row; 0 sets no limit (default: 0)"},
      {"cache_budget",
       "--cache-budget,--cache-memory-limit",
       kBytes,
       OptionGroup::kCache,
       {},
       {},
       "most memory the cache may hold, e.g. 512MiB (default: no limit)"},
      {"cache_replay",
       "--cache-replay",
       kPath,
       OptionGroup::kCache,
       {},
       {},
       "repeat the decisions of an earlier run's report"},
      {"fail_if_inert",
       "--fail-if-inert",
       kFlag,
       OptionGroup::kCache,
       {},
       {},
       "exit with 6 when the cache reused nothing"},
      {"output",
       "-o,--output,--save-path,--save_file,--output-path",
       kPath,
       kOutput,
       {},
       {},
       "video file; the extension chooses the format, see `list formats` (default: out.mp4)"},
      {"codec", "--codec", kText, kOutput, {}, {}, "encoder of the format, see `list formats`"},
      {"crf",
       "--crf",
       kInteger,
       kOutput,
       {0, 63},
       {},
       "constant quality, lower is better (default: the format's)"},
      {"encoder_preset",
       "--encoder-preset",
       kText,
       kOutput,
       {},
       {},
       "speed of the encoder (default: the format's)"},
      {"no_metadata",
       "--no-metadata",
       kFlag,
       kOutput,
       {},
       {},
       "leave the plan out of the video file"},
      {"report",
       "--report",
       kPath,
       kOutput,
       {},
       {},
       "run report; `none` writes none (default: beside the video, .json)"},
      {"save_latents",
       "--save-latents",
       kPath,
       kOutput,
       {},
       {},
       "keep the final latents as safetensors, for `bwcache-gen decode`"},
  };
  return kTable;
}

// Reuses the typed reader of base/params.h for a single value.
class OneValue final : public Params {
 public:
  explicit OneValue(const OptionInfo& option) : option_(option) {}
  void visit(ParamVisitor& visitor) override {
    const ParamDoc doc{"value", option_.meaning};
    switch (option_.kind) {
      case kInteger:
        visitor.integer(doc, integer, option_.range);
        break;
      case kNumber:
        visitor.number(doc, number, option_.range);
        break;
      case kFlag:
        visitor.flag(doc, flag);
        break;
      case kChoice: {
        const std::vector<std::string_view> names(option_.choices.begin(), option_.choices.end());
        visitor.choice(doc, text, names);
        break;
      }
      default:
        visitor.text(doc, text, "text");
        break;
    }
  }
  std::int64_t integer = 0;
  double number = 0;
  bool flag = false;
  std::string text;

 private:
  const OptionInfo& option_;
};

}  // namespace

std::span<const OptionInfo> options() { return table(); }

const OptionInfo* find_option(std::string_view key) {
  for (const OptionInfo& option : table()) {
    if (option.key == key) return &option;
  }
  return nullptr;
}

std::string_view group_title(OptionGroup group) {
  switch (group) {
    case kPrompt:
      return "Prompt";
    case kModel:
      return "Model";
    case kClip:
      return "Clip";
    case kSampling:
      return "Sampling";
    case OptionGroup::kCache:
      return "Cache";
    case kOutput:
      return "Output";
  }
  return "";
}

std::string main_flag(const OptionInfo& option) {
  const std::string_view flags = option.flags;
  const std::size_t start = flags.find("--");
  return std::string(flags.substr(start, flags.find(',', start) - start));
}

Json check_option(const OptionInfo& option, const Json& value, const Origin& origin) {
  if (option.kind == OptionKind::kCache) {
    if (!value.is_string() && !value.is_object()) {
      reject(origin, "must be a policy's name or an object, got " + value.dump());
    }
    return value;
  }
  OneValue one(option);
  Json object = Json::object();
  object["value"] = value;
  // The reader appends the field's name to the origin; one value is its own field.
  try {
    read_params(one, object, Origin{origin.kind, ""});
  } catch (const std::runtime_error& error) {
    std::string message = error.what();
    const std::size_t start = message.find("value: ");
    reject(origin, message.substr(start == std::string::npos ? 0 : start + 7));
  }
  switch (option.kind) {
    case kInteger:
      return one.integer;
    case kNumber:
      return one.number;
    case kFlag:
      return one.flag;
    case kBytes:
      return parse_bytes(one.text, origin);
    default:
      return one.text;
  }
}

std::uint64_t parse_bytes(std::string_view text, const Origin& origin) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, text.data() + text.size() - end);
  constexpr std::array<std::pair<std::string_view, double>, 11> kUnits = {{{"", 1},
                                                                           {"B", 1},
                                                                           {"KiB", 1024},
                                                                           {"K", 1024},
                                                                           {"KB", 1e3},
                                                                           {"MiB", 1048576},
                                                                           {"M", 1048576},
                                                                           {"MB", 1e6},
                                                                           {"GiB", 1073741824},
                                                                           {"G", 1073741824},
                                                                           {"GB", 1e9}}};
  for (const auto& [name, factor] : kUnits) {
    if (error == std::errc() && unit == name && value >= 0 && std::isfinite(value)) {
      return static_cast<std::uint64_t>(value * factor);
    }
  }
  reject(origin,
         "must be a number of bytes such as 512MiB or 2GB, got '" + std::string(text) + "'");
}

}  // namespace bw
