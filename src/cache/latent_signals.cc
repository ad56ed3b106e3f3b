#include "cache/latent_signals.h"

#include <utility>

#include "base/check.h"

namespace bw {
namespace {

CacheKey key_of(Slot slot, const EvaluationContext& context) {
  return {.slot = slot, .expert = context.expert};
}

const at::Tensor* find(const History& history, const CacheKey& key) {
  const std::span<const Sample> samples = history.find(key);
  return samples.empty() ? nullptr : &samples.front().value.front();
}

void keep(History& history, const Lifetimes& lifetimes, const CacheKey& key,
          const EvaluationContext& context, const at::Tensor& tensor) {
  if (!lifetimes.readable_after(key, context.index)) return;
  history.make_room(key, 1);
  history.push(key, {context.step, {tensor}});
}

}  // namespace

// What the batch holds of the last computed step, and of the way to this one.
void LatentTracker::read() {
  batch_.send();
  const auto count = static_cast<double>(z_.numel());
  if (change_) known_.change = batch_.sums(*change_).difference / count;
  if (prediction_) {
    const RelativeL1Sums prediction = batch_.sums(*prediction_);
    known_.size = prediction.reference / count;
    if (has_before_) {
      const double moved = batch_.sums(*latents_).difference / count;
      known_.rate = moved > 0 ? std::optional(prediction.difference / count / moved) : std::nullopt;
    }
  }
  batch_ = {};
  prediction_.reset();
}

std::optional<LatentSignals> LatentTracker::begin(const EvaluationContext& context,
                                                  const at::Tensor& z, const Lifetimes& lifetimes,
                                                  History& history) {
  BW_CHECK(z.defined());
  z_ = z;
  const CacheKey seen = key_of(Slot::kLatents, context);
  const at::Tensor* before = find(history, seen);
  change_.reset();
  if (before != nullptr) change_ = batch_.add(z, *before);
  const bool has_change = change_.has_value();
  if (has_change || prediction_) read();
  keep(history, lifetimes, seen, context, z);
  return has_change ? std::optional(known_) : std::nullopt;
}

void LatentTracker::computed(const EvaluationContext& context, const at::Tensor& v,
                             const Lifetimes& lifetimes, History& history) {
  const CacheKey predictions = key_of(Slot::kPrediction, context);
  const CacheKey latents = key_of(Slot::kLatentsComputed, context);
  const at::Tensor* v_before = find(history, predictions);
  const at::Tensor* z_before = find(history, latents);
  has_before_ = v_before != nullptr && z_before != nullptr;
  prediction_ = batch_.add(has_before_ ? *v_before : v, v);
  if (has_before_) latents_ = batch_.add(z_, *z_before);
  keep(history, lifetimes, predictions, context, v);
  keep(history, lifetimes, latents, context, z_);
}

}  // namespace bw
