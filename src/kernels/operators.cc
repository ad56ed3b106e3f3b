#include "kernels/operators.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/gated_add.h"
#include "kernels/linear.h"
#include "kernels/norm_modulate.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/simd_tensor.h"

namespace bw {
namespace {

using Optional = std::optional<at::Tensor>;

at::Tensor norm_modulate_op(const at::Tensor& x, const Optional& weight, const Optional& bias,
                            const Optional& shift, const Optional& scale, double eps,
                            bool promote) {
  return norm_modulate(in_result_type(x, promote, {&shift, &scale}), {weight, bias}, {shift, scale},
                       eps);
}

at::Tensor gated_add_op(const at::Tensor& hidden, const at::Tensor& output, const at::Tensor& gate,
                        bool promote) {
  // Graphs have other sums of a product; those keep their arithmetic.
  if (promote && !gated_add_fits(hidden, output, gate)) return hidden + gate * output;
  const Optional others[] = {output, gate};
  return gated_add(in_result_type(hidden, promote, {&others[0], &others[1]}), output, gate);
}

at::Tensor qk_norm_rope_op(const at::Tensor& x, const Optional& weight, double eps,
                           const Optional& cos, const Optional& sin, std::int64_t span,
                           std::int64_t pairs, bool promote) {
  return qk_norm_rope(in_result_type(x, promote, {&weight, &cos, &sin}),
                      {.weight = weight,
                       .eps = eps,
                       .span = static_cast<NormSpan>(span),
                       .pairs = static_cast<RopePairs>(pairs),
                       .cos = cos,
                       .sin = sin});
}

at::Tensor linear_op(const at::Tensor& x, const at::Tensor& weight, const Optional& bias,
                     std::int64_t activation) {
  return linear(x, weight, bias, static_cast<Activation>(activation));
}

at::Tensor gated_activation_op(const at::Tensor& x, std::int64_t activation) {
  return gated_activation(x, static_cast<Activation>(activation));
}

at::Tensor attention_op(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return attend(q, k, v);
}

}  // namespace

// Enumerations travel as their numbers. Every operator is pure: no argument is changed or returned.
TORCH_LIBRARY(bw, library) {
  library.def(
      "norm_modulate(Tensor x, Tensor? weight, Tensor? bias, Tensor? shift, Tensor? scale, "
      "float eps, bool promote) -> Tensor");
  library.def("gated_add(Tensor hidden, Tensor output, Tensor gate, bool promote) -> Tensor");
  library.def(
      "qk_norm_rope(Tensor x, Tensor? weight, float eps, Tensor? cos, Tensor? sin, int span, "
      "int pairs, bool promote) -> Tensor");
  library.def("linear(Tensor x, Tensor weight, Tensor? bias, int activation) -> Tensor");
  library.def("gated_activation(Tensor x, int activation) -> Tensor");
  library.def("attention(Tensor q, Tensor k, Tensor v) -> Tensor");
}

TORCH_LIBRARY_IMPL(bw, CPU, library) {
  library.impl("norm_modulate", norm_modulate_op);
  library.impl("gated_add", gated_add_op);
  library.impl("qk_norm_rope", qk_norm_rope_op);
  library.impl("linear", linear_op);
  library.impl("gated_activation", gated_activation_op);
  library.impl("attention", attention_op);
}

// Its products are LibTorch's on every device, so the plug-in has none of its own.
TORCH_LIBRARY_IMPL(bw, CUDA, library) { library.impl("attention", attention_op); }

// A packed weight is a tensor of oneDNN's, one in int8 a quantised tensor; either decides the
// backend.
TORCH_LIBRARY_IMPL(bw, MkldnnCPU, library) { library.impl("linear", linear_op); }
TORCH_LIBRARY_IMPL(bw, QuantizedCPU, library) { library.impl("linear", linear_op); }

// The registrations above run when the program starts; this makes the linker keep the file.
void register_operators() {}

at::Tensor attention_operator(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  using Attention = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&);
  static const auto kFound =
      c10::Dispatcher::singleton().findSchemaOrThrow("bw::attention", "").typed<Attention>();
  return kFound.call(q, k, v);
}

}  // namespace bw
