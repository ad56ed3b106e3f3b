#include "run/operator_costs.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <string_view>

#include "base/stopwatch.h"

namespace bw {

struct OperatorRecorder::State {
  std::map<std::string, OperatorCost> costs;
  int depth = 0;
};

namespace {

// The recorder of this thread: callbacks are plain functions. One at a time.
thread_local OperatorRecorder::State* recorder = nullptr;

struct Call final : at::ObserverContext {
  Stopwatch watch;
  double bytes = 0;
  double flop = 0;
  bool is_outermost = false;
  bool is_int8 = false;
};

void add_tensor_bytes(const c10::IValue& value, double& bytes) {
  if (value.isTensor() && value.toTensor().defined()) {
    const at::Tensor& tensor = value.toTensor();
    bytes += static_cast<double>(tensor.numel()) * static_cast<double>(tensor.element_size());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) add_tensor_bytes(tensor, bytes);
  }
}

// Of the tensor at a position of the arguments; empty when there is none.
std::vector<std::int64_t> sizes_of(c10::ArrayRef<const c10::IValue> inputs, std::size_t position) {
  if (position >= inputs.size() || !inputs[position].isTensor()) return {};
  return inputs[position].toTensor().sizes().vec();
}

double product(const std::vector<std::int64_t>& sizes) {
  double result = sizes.empty() ? 0 : 1;
  for (const std::int64_t size : sizes) result *= static_cast<double>(size);
  return result;
}

double flop_of(std::string_view name, c10::ArrayRef<const c10::IValue> inputs) {
  const bool has_bias_first = name == "aten::addmm" || name == "aten::baddbmm";
  const std::vector<std::int64_t> a = sizes_of(inputs, has_bias_first ? 1 : 0);
  const std::vector<std::int64_t> b = sizes_of(inputs, has_bias_first ? 2 : 1);
  if (a.empty() || b.empty()) return 0;
  // x [...,K] with weight [N,K]
  if (name == "aten::linear" || name == "bw::linear")
    return 2 * product(a) * static_cast<double>(b[0]);
  // [B,h,N,D] with [B,h,L,D], twice
  if (name == "bw::attention" || name == "aten::scaled_dot_product_attention") {
    return 4 * product(a) * static_cast<double>(b[b.size() - 2]);
  }
  if (has_bias_first || name == "aten::mm" || name == "aten::bmm" || name == "aten::matmul") {
    return 2 * product(a) * static_cast<double>(b.back());
  }
  return 0;
}

bool is_int8_linear(std::string_view name, c10::ArrayRef<const c10::IValue> inputs) {
  return name == "bw::linear" && inputs.size() > 1 && inputs[1].isTensor() &&
         inputs[1].toTensor().is_quantized();
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto call = std::make_unique<Call>();
  if (recorder == nullptr) return call;
  call->is_outermost = recorder->depth++ == 0;
  if (!call->is_outermost) return call;
  for (const c10::IValue& input : function.inputs()) add_tensor_bytes(input, call->bytes);
  call->flop = flop_of(function.name(), function.inputs());
  call->is_int8 = is_int8_linear(function.name(), function.inputs());
  call->watch = Stopwatch();
  return call;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  auto& call = *static_cast<Call*>(context);
  const double seconds = call.watch.seconds();
  if (recorder == nullptr) return;
  --recorder->depth;
  if (!call.is_outermost) return;
  for (const c10::IValue& output : function.outputs()) add_tensor_bytes(output, call.bytes);
  OperatorCost& cost =
      recorder->costs[call.is_int8 ? std::string(kInt8Linear) : std::string(function.name())];
  ++cost.calls;
  cost.seconds += seconds;
  cost.bytes += call.bytes;
  cost.flop += call.flop;
}

}  // namespace

OperatorRecorder::OperatorRecorder() : state_(std::make_unique<State>()) {
  recorder = state_.get();
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&begin, &end)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

OperatorRecorder::~OperatorRecorder() {
  at::removeCallback(handle_);
  recorder = nullptr;
}

void OperatorRecorder::restart() { state_->costs.clear(); }

const std::map<std::string, OperatorCost>& OperatorRecorder::costs() const { return state_->costs; }

}  // namespace bw
