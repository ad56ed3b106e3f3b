#include "cache/hidden_rows.h"

#include <ATen/ATen.h>

#include "base/check.h"

namespace bw {

Hidden rows_of(const Hidden& hidden, std::size_t branch, std::size_t num_branches) {
  if (num_branches == 1) return hidden;
  Hidden rows;
  rows.reserve(hidden.size());
  for (const at::Tensor& tensor : hidden) {
    BW_CHECK(tensor.size(0) == static_cast<std::int64_t>(num_branches));
    rows.push_back(tensor.narrow(0, static_cast<std::int64_t>(branch), 1));
  }
  return rows;
}

Hidden as_type_of(const Hidden& like, Hidden hidden) {
  for (at::Tensor& tensor : hidden) tensor = tensor.to(like.front().scalar_type());
  return hidden;
}

Hidden difference(const Hidden& a, const Hidden& b) {
  Hidden result;
  for (std::size_t stream = 0; stream < a.size(); ++stream) {
    result.push_back(a[stream] - b[stream]);
  }
  return result;
}

}  // namespace bw
