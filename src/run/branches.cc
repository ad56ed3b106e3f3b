#include "run/branches.h"

#include <ATen/ATen.h>

#include <array>

#include "base/check.h"
#include "base/error.h"
#include "run/cache_setup.h"
#include "run/latents.h"

namespace bw {
namespace {

struct Texts {
  at::Tensor cond;
  std::optional<at::Tensor> uncond;
};

Texts read_texts(const Plan& plan) {
  const auto& file = *plan.clip.prompt_embeds;
  PromptEmbeds embeds = read_prompt_embeds(file);
  if (plan.clip.guidance.enabled && !embeds.uncond) {
    throw InputError(file.string() +
                     ": holds no 'negative_prompt_embeds', which guidance needs; add them or pass "
                     "--guidance-scale 1");
  }
  return {embeds.cond, embeds.uncond};
}

Texts encode_texts(const Bundle& model, const Plan& plan, PromptReport& report) {
  const TextEmbedding cond = model.text_encoder()->encode(plan.clip.prompt);
  report = {static_cast<std::int64_t>(cond.tokens.ids.size()), cond.tokens.cut_tokens,
            cond.tokens.cut_text};
  Texts texts{cond.embedding, std::nullopt};
  if (plan.clip.guidance.enabled)
    texts.uncond = model.text_encoder()->encode(plan.clip.negative_prompt).embedding;
  return texts;
}

}  // namespace

Branches::Branches(const Bundle& model, const Plan& plan, const Schedule& schedule,
                   PromptReport& report)
    : denoiser_(model.denoiser()), batched_(plan.clip.guidance.batched) {
  const LatentShape shape = plan_latent_shape(plan, model.manifest());
  const Texts texts =
      plan.clip.prompt_embeds ? read_texts(plan) : encode_texts(model, plan, report);
  cond_ = denoiser_.conditions(texts.cond, shape);
  if (plan.clip.guidance.enabled) {
    uncond_ = denoiser_.conditions(*texts.uncond, shape);
    if (batched_) both_ = batch_contexts(denoiser_, std::array{*cond_, *uncond_});
  }
  BW_CHECK(plan.model.attention != "auto", "attention was not settled");
  for (std::optional<BranchContext>* context : {&cond_, &uncond_, &both_}) {
    if (*context) (*context)->attention = find_attention_form(plan.model.attention);
  }
  for (const Evaluation& evaluation : schedule.evaluations()) {
    TimeInput time{evaluation.timestep, std::nullopt};
    if (denoiser_.wants_guidance()) time.guidance = plan.clip.guidance.scale;
    single_.push_back(denoiser_.modulation(time, 1));
    if (both_) double_.push_back(denoiser_.modulation(time, 2));
  }
}

CacheController::BeginPass Branches::begin(const BranchContext& context,
                                           const Modulation& modulation,
                                           const at::Tensor& latents) const {
  return [this, &context, &modulation, latents] {
    return denoiser_.begin(context, latents, modulation);
  };
}

Predictions Branches::run(CacheController& cache, std::int64_t evaluation,
                          const at::Tensor& latents, bool guided) const {
  const auto index = static_cast<std::size_t>(evaluation);
  if (guided && batched_ && cache.runs_batched()) {
    const at::Tensor both =
        cache.run_batched(begin(*both_, double_[index], latents.expand({2, -1, -1, -1, -1})));
    return {both.narrow(0, 0, 1), both.narrow(0, 1, 1)};
  }
  Predictions predictions;
  predictions.cond = cache.run(Branch::kCond, begin(*cond_, single_[index], latents));
  if (guided)
    predictions.uncond = cache.run(Branch::kUncond, begin(*uncond_, single_[index], latents));
  return predictions;
}

}  // namespace bw
