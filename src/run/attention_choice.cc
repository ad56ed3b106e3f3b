#include "run/attention_choice.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/stopwatch.h"
#include "kernels/attention.h"
#include "run/cache_setup.h"
#include "run/latents.h"
#include "schedule/scheduler.h"

namespace bw {
namespace {

struct AttentionCall {
  at::Tensor q;  // [B,heads,N,D]
  at::Tensor k;
  at::Tensor v;
  std::int64_t count = 0;  // of an evaluation
};

// Where this thread's calls are noted: callbacks are plain functions.
thread_local std::vector<AttentionCall>* noted_calls = nullptr;

std::unique_ptr<at::ObserverContext> note_call(const at::RecordFunction& function) {
  if (noted_calls != nullptr && std::string_view(function.name()) == "bw::attention") {
    const auto inputs = function.inputs();
    noted_calls->push_back(
        {inputs[0].toTensor(), inputs[1].toTensor(), inputs[2].toTensor(), /*count=*/1});
  }
  return nullptr;
}

// The attention that `work` calls on this thread.
template <typename Work>
std::vector<AttentionCall> calls_of(const Work& work) {
  std::vector<AttentionCall> calls;
  noted_calls = &calls;
  const at::CallbackHandle handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(&note_call).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  const auto stop = [&] {
    at::removeCallback(handle);
    noted_calls = nullptr;
  };
  try {
    work();
  } catch (...) {
    stop();
    throw;
  }
  stop();
  return calls;
}

bool is_alike(const AttentionCall& a, const AttentionCall& b) {
  const auto same = [](const at::Tensor& x, const at::Tensor& y) {
    return x.sizes() == y.sizes() && x.strides() == y.strides();
  };
  return same(a.q, b.q) && same(a.k, b.k) && same(a.v, b.v);
}

void add_call(std::vector<AttentionCall>& calls, const AttentionCall& call) {
  const auto found = std::ranges::find_if(
      calls, [&](const AttentionCall& other) { return is_alike(call, other); });
  if (found == calls.end()) {
    calls.push_back(call);
  } else {
    found->count += call.count;
  }
}

at::Tensor conditional_text(const Bundle& model, const Plan& plan) {
  if (plan.clip.prompt_embeds) return read_prompt_embeds(*plan.clip.prompt_embeds).cond;
  return model.text_encoder()->encode(plan.clip.prompt).embedding;
}

// Each shape once, of one branch or of both as a batch.
std::vector<AttentionCall> attention_of_first_evaluation(const Bundle& model, const Plan& plan) {
  const Denoiser& denoiser = model.denoiser();
  const LatentShape shape = plan_latent_shape(plan, model.manifest());
  const bool is_batched = plan.clip.guidance.enabled && plan.clip.guidance.batched;
  const std::int64_t batch = is_batched ? 2 : 1;
  const auto schedule = make_schedule(plan, shape);
  TimeInput time{schedule->evaluations().front().timestep, std::nullopt};
  if (denoiser.wants_guidance()) time.guidance = plan.clip.guidance.scale;
  const BranchContext context =
      denoiser.conditions(conditional_text(model, plan).expand({batch, -1, -1}), shape);
  const at::Tensor latents = draw_noise(plan.clip.seed, shape).expand({batch, -1, -1, -1, -1});
  const auto pass = denoiser.begin(context, latents, denoiser.modulation(time, batch));
  const Hidden hidden = pass->embed();
  std::map<std::string, std::vector<AttentionCall>> by_kind;
  std::vector<AttentionCall> calls;
  for (std::size_t i = 0; i < pass->blocks().size(); ++i) {
    const std::string& kind = pass->blocks()[i].kind;
    if (!by_kind.contains(kind)) {
      by_kind[kind] = calls_of([&] { (void)pass->run_block(i, hidden); });
    }
    for (const AttentionCall& call : by_kind[kind]) add_call(calls, call);
  }
  return calls;
}

std::string obstacle_of(AttentionForm form, const std::vector<AttentionCall>& calls) {
  for (const AttentionCall& call : calls) {
    std::string obstacle = attention_obstacle(form, call.q, call.k, call.v);
    if (!obstacle.empty()) return obstacle;
  }
  return {};
}

std::vector<AttentionForm> measurable_forms(const std::vector<AttentionCall>& calls) {
  const bool is_small = std::ranges::all_of(calls, [](const AttentionCall& call) {
    return num_scores(call.q, call.k) <= kPlainMaxScores;
  });
  std::vector<AttentionForm> forms;
  for (const AttentionForm form : kAttentionForms) {
    if (form == AttentionForm::kPlain && !is_small) continue;
    if (obstacle_of(form, calls).empty()) forms.push_back(form);
  }
  return forms;
}

// Until the device has done what it was handed.
void finish_work(c10::Device device) {
  if (device.is_cpu()) return;
  c10::Event event(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  event.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  event.synchronize();
}

double seconds_of(AttentionForm form, const std::vector<AttentionCall>& calls) {
  double seconds = 0;
  for (const AttentionCall& call : calls) {
    const Stopwatch watch;
    (void)attend(call.q, call.k, call.v, form);
    finish_work(call.q.device());
    seconds += watch.seconds() * static_cast<double>(call.count);
  }
  return seconds;
}

// Lowest seconds of each form over rounds in turn, after one that warms up; fewer rounds where they
// are long.
std::vector<double> measure(const std::vector<AttentionForm>& forms,
                            const std::vector<AttentionCall>& calls) {
  constexpr int kFewest = 2, kMost = 10;
  constexpr double kEnoughSeconds = 1;
  std::vector<double> best(forms.size(), std::numeric_limits<double>::infinity());
  for (const AttentionForm form : forms) (void)seconds_of(form, calls);
  const Stopwatch watch;
  for (int round = 0; round < kMost; ++round) {
    if (round >= kFewest && watch.seconds() > kEnoughSeconds) break;
    for (std::size_t i = 0; i < forms.size(); ++i) {
      best[i] = std::min(best[i], seconds_of(forms[i], calls));
    }
  }
  return best;
}

AttentionForm fastest(const std::vector<AttentionCall>& calls, Observer& observer) {
  const std::vector<AttentionForm> forms = measurable_forms(calls);
  const std::vector<double> seconds = measure(forms, calls);
  std::string times;
  for (std::size_t i = 0; i < forms.size(); ++i) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s%s %.2f ms", i == 0 ? "" : ", ",
                  std::string(attention_form_name(forms[i])).c_str(), 1e3 * seconds[i]);
    times += text.data();
  }
  const auto lowest = std::ranges::min_element(seconds) - seconds.begin();
  const AttentionForm form = forms[static_cast<std::size_t>(lowest)];
  observer.note("attention: " + std::string(attention_form_name(form)) +
                " (all blocks, measured: " + times + ")");
  return form;
}

}  // namespace

void settle_attention(const Bundle& model, Plan& plan, const Origin& origin, Observer& observer) {
  std::string& asked = plan.model.attention;
  if (asked == "rule") return;
  const c10::InferenceMode guard;
  const std::vector<AttentionCall> calls = attention_of_first_evaluation(model, plan);
  if (calls.empty()) {
    reject(origin, "the blocks of the model '" + model.manifest().name +
                       "' have no attention without mask, the only one whose form can be chosen; "
                       "leave it out");
  }
  if (const auto form = find_attention_form(asked)) {
    const std::string obstacle = obstacle_of(*form, calls);
    if (!obstacle.empty()) {
      reject(origin, "'" + asked + "' " + obstacle + "; choose sdpa, plain or auto");
    }
    return;
  }
  asked = attention_form_name(fastest(calls, observer));
  plan.sources["attention"] = "measured, " + origin.name;
}

}  // namespace bw
