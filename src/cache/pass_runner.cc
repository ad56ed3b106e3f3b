#include "cache/pass_runner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "cache/cache_controller.h"
#include "cache/hidden_rows.h"
#include "cache/shadow.h"
#include "kernels/combine.h"

namespace bw {
namespace {

// What a stage adds to the hidden state, in the dtype of its output.
Hidden gated(const StageResult& result) {
  Hidden added;
  for (std::size_t stream = 0; stream < result.output.size(); ++stream) {
    const at::Tensor& output = result.output[stream];
    added.push_back((output * result.gate[stream]).to(output.scalar_type()));
  }
  return added;
}

Hidden stack_rows(std::vector<Hidden> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Hidden result;
  for (std::size_t stream = 0; stream < parts.front().size(); ++stream) {
    std::vector<at::Tensor> tensors;
    tensors.reserve(parts.size());
    for (const Hidden& part : parts) tensors.push_back(part[stream]);
    result.push_back(at::cat(tensors, 0));
  }
  return result;
}

}  // namespace

template <typename Compute>
void PassRunner::shadow(const Hidden& reused, const Compute& compute) {
  if (!parts_.shadow) return;
  const Stopwatch watch;
  const Hidden computed = compute();
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    errors_[i].push_back(
        relative_error(rows_of(reused, i, lane_.size()), rows_of(computed, i, lane_.size())));
  }
  parts_.clocks.shadow_seconds += watch.seconds();
}

template <typename Work>
auto PassRunner::model_work(ModelWork& part, const Work& work) {
  const Stopwatch watch;
  auto result = work();
  const double seconds = watch.seconds();
  part.seconds += seconds;
  parts_.clocks.model_seconds += seconds;
  return result;
}

ModelWork& PassRunner::work_of(const Pass& pass, std::size_t block) {
  return parts_.clocks.model.blocks[pass.blocks()[block].kind];
}

CacheKey PassRunner::key(Slot slot, Branch branch, StageRef at) const {
  return {slot, context_.expert, context_.part, branch, at.block, at.stage};
}

// A stage's output is added by its own sum. A prediction may be held as a residual over the
// latents; extrapolated, it is taken as it is.
Rebuild PassRunner::rule_of(Slot slot) const {
  const Rebuild& rule = parts_.needs.rebuild;
  const bool has_input =
      slot == Slot::kBranch ? rule.depth() == 1 && parts_.latents.defined() : slot != Slot::kStage;
  return has_input ? rule : rule.without_input();
}

Hidden PassRunner::prediction_input() const {
  if (!rule_of(Slot::kBranch).uses_input()) return {};
  return {parts_.latents.expand({static_cast<std::int64_t>(lane_.size()), -1, -1, -1, -1})};
}

at::Tensor PassRunner::run(const BeginPass& begin_pass, bool measure) {
  measure_ = measure && context_.part == 0 && parts_.needs.signal.kind != SignalKind::kNone;
  queues_.fill(DistanceQueue(parts_.needs.signal.metric));
  if (plan_.reuse == Site::kBranch) {
    const Hidden held = rebuild(Slot::kBranch, {}, prediction_input());
    shadow(held, [&] { return Hidden{plain_prediction(*begin_pass())}; });
    return held.front();
  }
  ModelWorks& model = parts_.clocks.model;
  std::unique_ptr<Pass> pass = model_work(model.embed, begin_pass);
  const Hidden hidden = walk_stack(*pass);
  at::Tensor prediction = model_work(model.head, [&] {
    at::Tensor made = pass->head(hidden);
    pass.reset();  // what the model holds goes with it, in the model's time
    return made;
  });
  model.head.rows += static_cast<std::int64_t>(lane_.size());
  if (records(&RecordedParts::prediction)) record(Slot::kBranch, {}, {prediction});
  if (parts_.needs.has(Site::kBranch) && parts_.needs.keeps(plan_.reuse)) {
    keep(Slot::kBranch, {}, prediction_input(), {prediction});
  }
  return prediction;
}

Hidden PassRunner::walk_stack(Pass& pass) {
  ModelWork& embed = parts_.clocks.model.embed;
  const auto embedded = [&] {
    embed.rows += static_cast<std::int64_t>(lane_.size());
    return model_work(embed, [&] { return pass.embed(); });
  };
  if (plan_.reuse == Site::kStack) {
    Hidden input;
    if (parts_.needs.rebuild.uses_input()) input = embedded();
    Hidden stack = rebuild(Slot::kStack, {}, input);
    shadow(stack, [&] {
      return plain_blocks(pass, 0, pass.blocks().size(), input.empty() ? pass.embed() : input);
    });
    return stack;
  }
  const Hidden input = embedded();
  const std::size_t num_blocks = pass.blocks().size();
  Hidden hidden;
  if (parts_.needs.has(Site::kMiddle)) {
    const MiddleBlocks& middle = parts_.needs.middle;
    hidden = run_blocks(pass, 0, middle.first, input);
    hidden = run_middle(pass, input, hidden);
    hidden = run_blocks(pass, num_blocks - middle.last, num_blocks, std::move(hidden));
  } else {
    hidden = run_blocks(pass, 0, num_blocks, input);
  }
  if (records(&RecordedParts::stack)) record(Slot::kStack, {}, difference(hidden, input));
  // A stack with a reused block is no true sample of itself.
  if (parts_.needs.has(Site::kStack) && parts_.needs.keeps(plan_.reuse)) {
    keep(Slot::kStack, {}, input, hidden);
  }
  return hidden;
}

Hidden PassRunner::run_blocks(Pass& pass, std::size_t begin, std::size_t end, Hidden hidden) {
  for (std::size_t block = begin; block < end; ++block) hidden = run_block(pass, block, hidden);
  return hidden;
}

Hidden PassRunner::run_middle(Pass& pass, const Hidden& stack_input, const Hidden& hidden) {
  const MiddleBlocks& middle = parts_.needs.middle;
  const Hidden signal = early_tensors(pass, stack_input, hidden);
  const Hidden added =
      signal.empty() || !parts_.needs.signal.progress ? Hidden{} : difference(hidden, stack_input);
  if (!added.empty()) compare_progress(added);
  if (!signal.empty()) compare_early(signal);
  if (plan_.ask) {
    const Verdict verdict = confirm_(*this);
    plan_.weight = verdict.weight;
    if (!verdict.reuse) plan_ = {};
  }
  plan_.ask = false;
  const bool reuse = plan_.reuse == Site::kMiddle;
  if (!signal.empty() && !(reuse && parts_.needs.signal.against_computed)) keep_early(signal);
  if (!added.empty() && !reuse) keep_progress(added);
  const std::size_t end = pass.blocks().size() - middle.last;
  if (reuse) {
    Hidden rebuilt = rebuild(Slot::kMiddle, {}, hidden);
    shadow(rebuilt, [&] { return plain_blocks(pass, middle.first, end, hidden); });
    return rebuilt;
  }
  Hidden output = run_blocks(pass, middle.first, end, hidden);
  if (plan_.reuse == Site::kNone) keep(Slot::kMiddle, {}, hidden, output);
  return output;
}

Hidden PassRunner::run_block(Pass& pass, std::size_t block, const Hidden& input) {
  const CacheNeeds& needs = parts_.needs;
  const bool probed = is_probed(block);
  if (plan_.reuse == Site::kBlock && is_set(plan_.skipped, block) && !plan_.blocks[block]) {
    if (probed) pass_over(block);
    shadow(input, [&] { return plain_blocks(pass, block, block + 1, input); });
    return input;
  }
  if (plan_.reuse == Site::kBlock && plan_.blocks[block]) {
    if (probed) pass_over(block);
    Hidden rebuilt = rebuild(Slot::kBlock, {block, 0}, input);
    shadow(rebuilt, [&] { return plain_blocks(pass, block, block + 1, input); });
    return rebuilt;
  }
  // Like a reused block, one with a reused stage is no sample of what it computes.
  if (reuses_stage_of(block)) {
    if (probed) pass_over(block);
    return run_stages(pass, block, input);
  }
  if (block == 0 && records(&RecordedParts::probe)) {
    record(Slot::kSignal, {}, {pass.probe(0, input)});
  }
  if (probed && needs.signal.kind == SignalKind::kAttentionInput) {
    measure_block(
        block, {timed(parts_.clocks.indicator_seconds, [&] { return pass.probe(block, input); })});
  }
  const bool by_stages =
      may_reuse_stage_of(block) || probed_stage(block) || records(&RecordedParts::stages);
  Hidden output = by_stages ? run_stages(pass, block, input) : run_whole_block(pass, block, input);
  if (records(&RecordedParts::blocks)) {
    record(Slot::kBlock, {block, 0}, difference(output, input));
  }
  if (probed && needs.signal.kind == SignalKind::kBlockOutput) measure_block(block, output);
  if (probed && needs.signal.kind == SignalKind::kBlockResidual) {
    measure_block(
        block, timed(parts_.clocks.indicator_seconds, [&] { return difference(output, input); }));
  }
  if (probed && needs.signal.alignment) align_block(output, input);
  if (needs.has(Site::kBlock)) {
    const std::vector<std::size_t>& reusable = needs.reusable_blocks[context_.expert];
    if (std::binary_search(reusable.begin(), reusable.end(), block)) {
      keep(Slot::kBlock, {block, 0}, input, output);
    }
  }
  return output;
}

Hidden PassRunner::run_whole_block(Pass& pass, std::size_t block, const Hidden& input) {
  ModelWork& work = work_of(pass, block);
  work.rows += static_cast<std::int64_t>(lane_.size());
  const bool in_int8 = plan_.reuse == Site::kBlock && is_set(plan_.int8, block);
  return model_work(work, [&] {
    return in_int8 ? pass.run_block_int8(block, input) : pass.run_block(block, input);
  });
}

Hidden PassRunner::run_stages(Pass& pass, std::size_t block, const Hidden& input) {
  ModelWork& work = work_of(pass, block);
  work.rows += static_cast<std::int64_t>(lane_.size());
  Hidden hidden = input;
  const std::size_t num_stages = pass.blocks()[block].stages.size();
  for (std::size_t stage = 0; stage < num_stages; ++stage) {
    const StageResult result = run_stage(pass, {block, stage}, hidden);
    if (probed_stage(block) == stage) {
      measure_block(block, timed(parts_.clocks.indicator_seconds, [&] { return gated(result); }));
    }
    hidden = model_work(work, [&] { return pass.add_stage(block, stage, hidden, result); });
  }
  return hidden;
}

StageResult PassRunner::run_stage(Pass& pass, StageRef at, const Hidden& input) {
  ModelWork& work = work_of(pass, at.block);
  if (plan_.reuse == Site::kStage && plan_.stages[at.block][at.stage]) {
    Hidden gate = model_work(work, [&] { return pass.gate(at.block, at.stage); });
    Hidden output = rebuild(Slot::kStage, at, {});
    shadow(output,
           [&] { return as_type_of(input, pass.run_stage(at.block, at.stage, input).output); });
    return {std::move(output), std::move(gate)};
  }
  StageResult result = model_work(work, [&] { return pass.run_stage(at.block, at.stage, input); });
  if (records(&RecordedParts::stages)) record(Slot::kStage, at, result.output);
  if (!parts_.needs.has(Site::kStage)) return result;  // walked by stages for its signal
  const std::vector<StageRef>& reusable = parts_.needs.reusable_stages[context_.expert];
  if (!std::binary_search(reusable.begin(), reusable.end(), at)) return result;
  // Memory is declared in the dtype of the hidden state, also where a stage ends in a wider one.
  keep(Slot::kStage, at, {}, as_type_of(input, result.output));
  return result;
}

bool PassRunner::reuses_stage_of(std::size_t block) const {
  if (plan_.reuse != Site::kStage) return false;
  const std::vector<bool>& stages = plan_.stages[block];
  return std::find(stages.begin(), stages.end(), true) != stages.end();
}

bool PassRunner::may_reuse_stage_of(std::size_t block) const {
  if (!parts_.needs.has(Site::kStage)) return false;
  const std::vector<StageRef>& reusable = parts_.needs.reusable_stages[context_.expert];
  return std::any_of(reusable.begin(), reusable.end(),
                     [&](const StageRef& ref) { return ref.block == block; });
}

Hidden PassRunner::rebuild(Slot slot, StageRef at, const Hidden& input) {
  const Stopwatch watch;
  const Rebuild rule = rule_of(slot);
  std::vector<Hidden> parts;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    const std::span<const Sample> samples = parts_.history.find(key(slot, lane_[i], at));
    RebuildAt here{context_.step, context_.num_steps, plan_.weight};
    if (slot == Slot::kBlock && !plan_.corrections.empty()) {
      here.correction = plan_.corrections[at.block];
    }
    Hidden value = rule.value(samples, here, rows_of(input, i, lane_.size()));
    if (plan_.mean_of_branches) value = mean_with_other(slot, at, lane_[i], std::move(value));
    parts.push_back(std::move(value));
  }
  Hidden result = stack_rows(std::move(parts));
  parts_.clocks.rebuild_seconds += watch.seconds();
  return result;
}

Hidden PassRunner::mean_with_other(Slot slot, StageRef at, Branch branch, Hidden value) const {
  const Branch other = branch == Branch::kCond ? Branch::kUncond : Branch::kCond;
  const std::span<const Sample> samples = parts_.history.find(key(slot, other, at));
  if (samples.empty()) return value;
  const RebuildAt here{context_.step, context_.num_steps, plan_.weight};
  const Hidden second = rule_of(slot).value(samples, here, {});
  for (std::size_t stream = 0; stream < value.size(); ++stream) {
    value[stream] = combine({value[stream], second[stream]}, {0.5, 0.5});
  }
  return value;
}

void PassRunner::record(Slot slot, StageRef at, const Hidden& value) {
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    parts_.recorder->record(key(slot, lane_[i], at), context_, rows_of(value, i, lane_.size()));
  }
}

void PassRunner::keep(Slot slot, StageRef at, const Hidden& input, const Hidden& output) {
  const Stopwatch watch;
  const Rebuild rule = rule_of(slot);
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    const CacheKey kept = key(slot, lane_[i], at);
    if (!parts_.lifetimes.readable_after(kept, context_.index)) continue;
    parts_.history.make_room(kept, rule.depth());
    Hidden value = rule.keep(rows_of(input, i, lane_.size()), rows_of(output, i, lane_.size()));
    parts_.history.push(kept, {context_.step, std::move(value)});
  }
  parts_.clocks.rebuild_seconds += watch.seconds();
}

}  // namespace bw
