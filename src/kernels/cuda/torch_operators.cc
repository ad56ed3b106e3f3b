// The CUDA kernels as operators of torch: fused operators under the schemas of
// kernels/operators.cc, and the two that the cache needs on a device. This is the one file of the
// plug-in that sees torch; read calls.h for what it calls, kernels/device.h for who loads it.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <optional>

#include "kernels/activation.h"
#include "kernels/cuda/calls.h"
#include "kernels/gated_add.h"
#include "kernels/norm_modulate.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/simd_tensor.h"

namespace bw::cuda {
namespace {

using Optional = std::optional<at::Tensor>;

Stream stream_of(const at::Tensor& tensor) {
  return c10::cuda::getCurrentCUDAStream(tensor.get_device()).stream();
}

void check(int status) { C10_CUDA_CHECK(static_cast<cudaError_t>(status)); }

at::Tensor norm_modulate_op(const at::Tensor& given, const Optional& weight, const Optional& bias,
                            const Optional& shift, const Optional& scale, double eps,
                            bool promote) {
  const c10::cuda::CUDAGuard guard(given.device());
  const at::Tensor x = in_result_type(given, promote, {&shift, &scale});
  const auto reference = [&] { return norm_modulate_ref(x, {weight, bias}, {shift, scale}, eps); };
  if (!norm_modulate_fits(x, {weight, bias}, {shift, scale})) return reference();
  const std::int64_t batch = x.size(0), rows = x.size(1), dim = x.size(2);
  const at::ScalarType type = common_type({&weight, &bias, &shift, &scale});
  const RowParameter w = row_parameter(weight, type, dim), b = row_parameter(bias, type, dim),
                     add = row_parameter(shift, type, dim), mul = row_parameter(scale, type, dim);
  at::Tensor y = at::empty({batch, rows, dim}, x.options());
  const NormModulateCall call{.x = x.const_data_ptr(),
                              .y = y.mutable_data_ptr(),
                              .batch_stride = x.stride(0),
                              .row_stride = x.stride(1),
                              .rows = rows,
                              .dim = dim,
                              .weight = w.at(0),
                              .bias = b.at(0),
                              .shift = add.at(0),
                              .scale = mul.at(0),
                              .shift_stride = add.batch_stride,
                              .scale_stride = mul.batch_stride,
                              .eps = static_cast<float>(eps)};
  if (!fits(row_shape(call, batch))) return reference();
  const Types types{
      *element_of(x), *element_of(type),
      load_width(*element_of(x), {call.x, call.weight, call.bias, call.shift, call.scale},
                 {dim, call.batch_stride, call.row_stride})};
  check(norm_modulate(call, types, batch, stream_of(x)));
  return y;
}

at::Tensor gated_add_op(const at::Tensor& given, const at::Tensor& output, const at::Tensor& gate,
                        bool promote) {
  const c10::cuda::CUDAGuard guard(given.device());
  // Graphs have other sums of a product; those keep their arithmetic.
  if (promote && !gated_add_fits(given, output, gate)) return given + gate * output;
  const Optional others[] = {output, gate};
  const at::Tensor hidden = in_result_type(given, promote, {&others[0], &others[1]});
  if (!gated_add_fits(hidden, output, gate)) return gated_add_ref(hidden, output, gate);
  const std::int64_t batch = hidden.size(0), rows = hidden.size(1), dim = hidden.size(2);
  const RowParameter gates = row_parameter(gate, gate.scalar_type(), dim);
  at::Tensor y = at::empty({batch, rows, dim}, hidden.options());
  const GatedAddCall call{.hidden = hidden.const_data_ptr(),
                          .output = output.const_data_ptr(),
                          .gate = gates.at(0),
                          .y = y.mutable_data_ptr(),
                          .hidden_batch_stride = hidden.stride(0),
                          .hidden_row_stride = hidden.stride(1),
                          .output_batch_stride = output.stride(0),
                          .output_row_stride = output.stride(1),
                          .gate_stride = gates.batch_stride,
                          .rows = rows,
                          .dim = dim};
  if (!fits(row_shape(call, batch))) return gated_add_ref(hidden, output, gate);
  const int width = load_width(*element_of(hidden), {call.hidden, call.output, call.gate},
                               {dim, call.hidden_batch_stride, call.hidden_row_stride,
                                call.output_batch_stride, call.output_row_stride});
  check(gated_add(call, {*element_of(hidden), *element_of(gate), width}, batch, stream_of(hidden)));
  return y;
}

struct RopeArguments {
  QkNormRope how;
  at::ScalarType type = at::kFloat;  // of all parameters
  RowParameter weight;
  at::Tensor cos;
  at::Tensor sin;
};

QkNormRopeCall rope_call(const at::Tensor& x, const at::Tensor& y, const RopeArguments& given) {
  const bool has_tables = given.how.pairs != RopePairs::kNone;
  const std::int64_t tokens = x.size(2), dim = x.size(3);
  return {.x = x.const_data_ptr(),
          .y = y.mutable_data_ptr(),
          .batch_stride = x.stride(0),
          .head_stride = x.stride(1),
          .token_stride = x.stride(2),
          .heads = x.size(1),
          .tokens = tokens,
          .dim = dim,
          .weight = given.weight.at(0),
          .cos = has_tables ? given.cos.const_data_ptr() : nullptr,
          .sin = has_tables ? given.sin.const_data_ptr() : nullptr,
          .table_stride = has_tables && given.cos.size(0) > 1 ? tokens * (dim / 2) : 0,
          .norm_over_row = given.how.span == NormSpan::kRow,
          .adjacent = given.how.pairs == RopePairs::kAdjacent,
          .eps = static_cast<float>(given.how.eps)};
}

at::Tensor qk_norm_rope_op(const at::Tensor& given, const Optional& weight, double eps,
                           const Optional& cos, const Optional& sin, std::int64_t span,
                           std::int64_t pairs, bool promote) {
  const c10::cuda::CUDAGuard guard(given.device());
  const at::Tensor x = in_result_type(given, promote, {&weight, &cos, &sin});
  RopeArguments arguments;
  arguments.how = {.weight = weight,
                   .eps = eps,
                   .span = static_cast<NormSpan>(span),
                   .pairs = static_cast<RopePairs>(pairs),
                   .cos = cos,
                   .sin = sin};
  const QkNormRope& how = arguments.how;
  if (!qk_norm_rope_fits(x, how)) return qk_norm_rope_ref(x, how);
  arguments.type = common_type({&weight, &cos, &sin});
  if (weight) arguments.weight = row_parameter(weight, arguments.type, weight->numel());
  if (how.pairs != RopePairs::kNone) {
    arguments.cos = cos->to(arguments.type).contiguous();
    arguments.sin = sin->to(arguments.type).contiguous();
  }
  at::Tensor y = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
  const QkNormRopeCall call = rope_call(x, y, arguments);
  if (!fits(row_shape(call, x.size(0)))) return qk_norm_rope_ref(x, how);
  const int width = load_width(*element_of(x), {call.x, call.weight},
                               {x.size(3), x.stride(0), x.stride(1), x.stride(2)});
  check(qk_norm_rope(call, {*element_of(x), *element_of(arguments.type), width}, x.size(0),
                     stream_of(x)));
  return y;
}

at::Tensor activate_op(const at::Tensor& x, Activation activation) {
  if (activation == Activation::kNone || !element_of(x) || !x.is_contiguous()) {
    return activate_ref(x, activation);
  }
  at::Tensor y = at::empty_like(x);
  const ActivateCall call{.x = x.const_data_ptr(),
                          .y = y.mutable_data_ptr(),
                          .size = x.numel(),
                          .dim = 0,
                          .tanh_form = activation == Activation::kGeluTanh};
  const Element element = *element_of(x);
  check(activate(call, {element, element, load_width(element, {call.x}, {})}, stream_of(x)));
  return y;
}

at::Tensor linear_op(const at::Tensor& x, const at::Tensor& weight, const Optional& bias,
                     std::int64_t activation) {
  const c10::cuda::CUDAGuard guard(x.device());
  return activate_op(at::linear(x, weight, bias), static_cast<Activation>(activation));
}

at::Tensor gated_activation_op(const at::Tensor& x, std::int64_t number) {
  const auto activation = static_cast<Activation>(number);
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) % 2 == 0 && activation != Activation::kNone,
              "gated_activation takes [...,2D] and an activation, got ", x.sizes());
  const c10::cuda::CUDAGuard guard(x.device());
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() /= 2;
  const std::int64_t dim = sizes.back(), rows = dim == 0 ? 0 : x.numel() / (2 * dim);
  if (!element_of(x) || !x.is_contiguous() || !fits({rows, dim, false, 0})) {
    return gated_activation_ref(x, activation);
  }
  at::Tensor y = at::empty(sizes, x.options());
  const ActivateCall call{.x = x.const_data_ptr(),
                          .y = y.mutable_data_ptr(),
                          .size = y.numel(),
                          .dim = dim,
                          .tanh_form = activation == Activation::kGeluTanh};
  const Element element = *element_of(x);
  check(gated_activation(call, {element, element, load_width(element, {call.x}, {dim})}, rows,
                         stream_of(x)));
  return y;
}

// Σ weights[i]·values[i] in f32, rounded once to the type of values[0]; all of one shape.
at::Tensor combine_op(at::TensorList values, at::ArrayRef<double> weights) {
  TORCH_CHECK(!values.empty() && values.size() == weights.size());
  const at::Tensor& first = values[0];
  const c10::cuda::CUDAGuard guard(first.device());
  bool is_plain = element_of(first).has_value() && first.is_non_overlapping_and_dense() &&
                  values.size() <= kMaxTerms;
  for (const at::Tensor& value : values) {
    TORCH_CHECK(value.sizes() == first.sizes(), "combine: shapes differ");
    is_plain = is_plain && value.scalar_type() == first.scalar_type() &&
               value.strides() == first.strides();
  }
  if (!is_plain) {
    at::Tensor sum = values[0].to(at::kFloat) * weights[0];
    for (std::size_t i = 1; i < values.size(); ++i) {
      sum.add_(values[i].to(at::kFloat), weights[i]);
    }
    return sum.to(first.scalar_type());
  }
  at::Tensor y = at::empty_strided(first.sizes(), first.strides(), first.options());
  CombineCall call;
  call.num_terms = static_cast<int>(values.size());
  call.y = y.mutable_data_ptr();
  call.size = first.numel();
  const Element element = *element_of(first);
  int width = load_width(element, {call.y}, {});
  for (std::size_t i = 0; i < values.size(); ++i) {
    call.values[i] = values[i].const_data_ptr();
    call.weights[i] = static_cast<float>(weights[i]);
    if (load_width(element, {call.values[i]}, {}) == 1) width = 1;
  }
  check(combine(call, {element, element, width}, stream_of(first)));
  return y;
}

// Writes Σ|a − b| and Σ|b| to sums[row], f64 [rows,2] on the device of a, without waiting.
void relative_l1_op(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sums,
                    std::int64_t row) {
  TORCH_CHECK(a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
              a.device() == b.device() && a.device() == sums.device());
  TORCH_CHECK(sums.dim() == 2 && sums.size(1) == 2 && sums.scalar_type() == at::kDouble &&
              sums.is_contiguous() && row >= 0 && row < sums.size(0));
  const c10::cuda::CUDAGuard guard(a.device());
  const bool is_plain =
      element_of(a).has_value() && a.is_non_overlapping_and_dense() && a.strides() == b.strides();
  const at::Tensor x = is_plain ? a : a.to(at::kFloat).contiguous();
  const at::Tensor y = is_plain ? b : b.to(at::kFloat).contiguous();
  const std::int64_t blocks = distance_launch(x.numel()).blocks;
  at::Tensor partial = at::empty({blocks, 2}, x.options().dtype(at::kFloat));
  const Element element = *element_of(x);
  const DistanceCall call{.a = x.const_data_ptr(),
                          .b = y.const_data_ptr(),
                          .size = x.numel(),
                          .partial = partial.mutable_data_ptr<float>(),
                          .sums = static_cast<double*>(sums.mutable_data_ptr()) + 2 * row};
  check(
      distance(call, {element, element, load_width(element, {call.a, call.b}, {})}, stream_of(a)));
}

}  // namespace

TORCH_LIBRARY_IMPL(bw, CUDA, library) {
  library.impl("norm_modulate", norm_modulate_op);
  library.impl("gated_add", gated_add_op);
  library.impl("qk_norm_rope", qk_norm_rope_op);
  library.impl("linear", linear_op);
  library.impl("gated_activation", gated_activation_op);
}

// Those that only a device has; kernels/combine.cc and relative_l1_batch.cc call them.
TORCH_LIBRARY_FRAGMENT(bw, library) {
  library.def("combine(Tensor[] values, float[] weights) -> Tensor");
  library.def("relative_l1_(Tensor a, Tensor b, Tensor(a!) sums, int row) -> ()");
}
TORCH_LIBRARY_IMPL(bw, CUDA, library) {
  library.impl("combine", combine_op);
  library.impl("relative_l1_", relative_l1_op);
}

}  // namespace bw::cuda

// Compute capability times ten that the kernels were built for: 90 for 9.0.
extern "C" __attribute__((visibility("default"))) int bw_cuda_lowest_architecture() {
  return BW_CUDA_LOWEST_ARCHITECTURE;
}
