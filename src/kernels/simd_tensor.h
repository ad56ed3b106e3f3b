// Tensors as row-wise kernels want them, on any device. Read norm_modulate.cc for a use.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "kernels/simd.h"

namespace bw {

// f32 or bf16; nothing for other types.
[[nodiscard]] std::optional<Element> element_of(at::ScalarType type);
[[nodiscard]] std::optional<Element> element_of(const at::Tensor& tensor);

// What references compute in: f64 for f64, f32 for everything else.
[[nodiscard]] at::ScalarType wide_type(const at::Tensor& tensor);

// [B,N,D] of a fitting type, D contiguous.
[[nodiscard]] bool has_rows(const at::Tensor& tensor);

// A parameter that is the same for all rows of a batch entry: [D], [1,D], [1,1,D] or [B,1,D].
struct RowParameter {
  at::Tensor values;  // contiguous, of the type asked for
  std::int64_t batch_stride = 0;

  // Null when there is no parameter.
  [[nodiscard]] const void* at(std::int64_t batch) const;
};

// Whether it is one, or absent.
[[nodiscard]] bool is_row_parameter(const std::optional<at::Tensor>& tensor, std::int64_t batch,
                                    std::int64_t dim);
// Empty for none.
[[nodiscard]] RowParameter row_parameter(const std::optional<at::Tensor>& tensor,
                                         at::ScalarType type, std::int64_t dim);

// The type that the parameters of one call are read in: their own when they agree, else f32.
[[nodiscard]] at::ScalarType common_type(
    std::initializer_list<const std::optional<at::Tensor>*> parameters);

// With `promote` x in the type that plain arithmetic on it and the others would give, without it x
// as it is.
[[nodiscard]] at::Tensor in_result_type(
    const at::Tensor& x, bool promote,
    std::initializer_list<const std::optional<at::Tensor>*> others);

// How many rows of this many elements are worth a task of their own.
[[nodiscard]] std::int64_t row_grain(std::int64_t elements_per_row);

// Start of batch entry b.
[[nodiscard]] const void* entry(const at::Tensor& tensor, std::int64_t b);

}  // namespace bw
