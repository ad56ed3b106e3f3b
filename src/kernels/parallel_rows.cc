#include "kernels/parallel_rows.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/simd_tensor.h"

namespace bw {

void parallel_rows(
    const BatchRows& shape,
    const std::function<void(std::int64_t entry, std::int64_t begin, std::int64_t end)>& work) {
  at::parallel_for(0, shape.batch * shape.rows, row_grain(shape.elements),
                   [&](std::int64_t begin, std::int64_t end) {
                     while (begin < end) {
                       const std::int64_t entry = begin / shape.rows, first = entry * shape.rows;
                       const std::int64_t stop = std::min(end, first + shape.rows);
                       work(entry, begin - first, stop - first);
                       begin = stop;
                     }
                   });
}

}  // namespace bw
