#include "kernels/attention_avx512.h"

#include <immintrin.h>

#include "kernels/simd_lanes.h"

namespace bw {
namespace {

constexpr std::int64_t kKeys = 64;     // keys of a block: four registers of scores
constexpr std::int64_t kRows = 6;      // rows of a tile: 24 accumulators
constexpr std::int64_t kQueries = 48;  // rows that share a pass over the keys
constexpr std::int64_t kColumns = 4;   // registers of a tile

using Word [[gnu::may_alias]] =
    std::uint32_t;  // a pair of bf16: what one product takes of each operand

BW_INLINE __m512 multiply_add(__m512 sum, __m512i pairs, Word pair) {
  return _mm512_dpbf16_ps(sum,
                          __builtin_bit_cast(__m512bh, _mm512_set1_epi32(static_cast<int>(pair))),
                          __builtin_bit_cast(__m512bh, pairs));
}

// One instruction, where simd_lanes.h needs several.
BW_INLINE void store_half(std::uint16_t* p, Lanes v) {
  _mm256_storeu_si256(
      reinterpret_cast<__m256i*>(p),
      __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(__builtin_bit_cast(__m512, v))));
}

// A tile of a product: rows of pairs (`stride` pairs apart) times `steps` packed rows of pairs.
struct Tile {
  const Word* left = nullptr;
  std::int64_t left_stride = 0;
  const Word* right = nullptr;
  std::int64_t right_stride = 0;
  std::int64_t steps = 0;
  float* result = nullptr;
  std::int64_t result_stride = 0;
};

template <int rows, bool accumulate>
void multiply_tile(const Tile& t) {
  __m512 sums[rows][kColumns];
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < kColumns; ++c) {
      sums[r][c] = accumulate ? _mm512_loadu_ps(t.result + r * t.result_stride + c * kLanes)
                              : _mm512_setzero_ps();
    }
  }
  for (std::int64_t k = 0; k < t.steps; ++k) {
    __m512i right[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      right[c] = _mm512_loadu_si512(t.right + k * t.right_stride + c * kLanes);
    }
    for (int r = 0; r < rows; ++r) {
      const Word pair = t.left[r * t.left_stride + k];
      for (int c = 0; c < kColumns; ++c) sums[r][c] = multiply_add(sums[r][c], right[c], pair);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < kColumns; ++c) {
      _mm512_storeu_ps(t.result + r * t.result_stride + c * kLanes, sums[r][c]);
    }
  }
}

template <bool accumulate>
void multiply_rows(Tile t, std::int64_t rows) {
  for (; rows >= kRows; rows -= kRows) {
    multiply_tile<kRows, accumulate>(t);
    t.left += kRows * t.left_stride;
    t.result += kRows * t.result_stride;
  }
  switch (rows) {
    case 5:
      return multiply_tile<5, accumulate>(t);
    case 4:
      return multiply_tile<4, accumulate>(t);
    case 3:
      return multiply_tile<3, accumulate>(t);
    case 2:
      return multiply_tile<2, accumulate>(t);
    case 1:
      return multiply_tile<1, accumulate>(t);
    default:
      return;
  }
}

// What one block of queries needs while it passes over the keys.
struct Workspace {
  alignas(64) std::uint16_t queries[kQueries * kFlashMaxDim];
  alignas(64) float scores[kQueries * kKeys];
  alignas(64) std::uint16_t weights[kQueries * kKeys];
  alignas(64) float sums[kQueries * kFlashMaxDim];
  float top[kQueries];
  float total[kQueries];
};

// scores → weights of one row against the running maximum; returns what earlier sums must be
// multiplied by.
BW_INLINE float softmax_row(Workspace& w, std::int64_t row, std::int64_t keys, float scale) {
  float* scores = w.scores + row * kKeys;
  for (std::int64_t i = keys; i < kKeys; ++i) scores[i] = -__builtin_huge_valf();
  Lanes best = load(scores);
  for (std::int64_t i = kLanes; i < kKeys; i += kLanes) best = larger(best, load(scores + i));
  const float top = maximum(best) * scale;
  const float now = top > w.top[row] ? top : w.top[row];
  Lanes total = {};
  for (std::int64_t i = 0; i < kKeys; i += kLanes) {
    const Lanes s = load(scores + i);
    // exp() is clamped, so what lies beyond the keys is set to zero by hand.
    const Lanes e = select(s == -__builtin_huge_valf(), Lanes{}, exp(s * scale - now));
    store_half(w.weights + row * kKeys + i, e);
    total += e;
  }
  // Mostly the maximum stays where it is.
  const float before = now == w.top[row] ? 1.0F : exp(splat(w.top[row] - now))[0];
  w.total[row] = w.total[row] * before + sum(total);
  w.top[row] = now;
  return before;
}

BW_INLINE void scale_row(float* row, std::int64_t dim, float factor) {
  for (std::int64_t i = 0; i < dim; i += kLanes) store(row + i, load(row + i) * factor);
}

// Rows of the block's queries, copied so that tiles read them without gaps.
void copy_queries(const FlashAttention& c, const std::uint16_t* query, std::int64_t rows,
                  Workspace& w) {
  for (std::int64_t r = 0; r < rows; ++r) {
    __builtin_memcpy(w.queries + r * c.dim, query + r * c.query.row_stride,
                     static_cast<std::size_t>(c.dim) * sizeof(std::uint16_t));
  }
}

void attend_block(const FlashAttention& c, const std::uint16_t* packed, std::int64_t rows,
                  Workspace& w) {
  const std::uint16_t* packed_values = packed + c.key_blocks() * kKeys * c.dim;
  for (std::int64_t r = 0; r < rows; ++r) {
    w.top[r] = -__builtin_huge_valf();
    w.total[r] = 0;
  }
  __builtin_memset(w.sums, 0, static_cast<std::size_t>(rows * c.dim) * sizeof(float));
  for (std::int64_t block = 0; block < c.key_blocks(); ++block) {
    const auto* keys = reinterpret_cast<const Word*>(packed + block * kKeys * c.dim);
    const auto* values = reinterpret_cast<const Word*>(packed_values + block * kKeys * c.dim);
    multiply_rows<false>({reinterpret_cast<const Word*>(w.queries), c.dim / 2, keys, kKeys,
                          c.dim / 2, w.scores, kKeys},
                         rows);
    const std::int64_t left = c.keys - block * kKeys;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float before = softmax_row(w, r, left < kKeys ? left : kKeys, c.scale);
      if (before != 1.0F) scale_row(w.sums + r * c.dim, c.dim, before);
    }
    for (std::int64_t column = 0; column < c.dim; column += kColumns * kLanes) {
      multiply_rows<true>({reinterpret_cast<const Word*>(w.weights), kKeys / 2, values + column,
                           c.dim, kKeys / 2, w.sums + column, c.dim},
                          rows);
    }
  }
}

}  // namespace

std::int64_t FlashAttention::query_blocks() const { return (queries + kQueries - 1) / kQueries; }

// Keys: [dim/2][64 keys][2], values: [32 pairs of keys][dim][2], zeros beyond the last key.
void flash_pack(const FlashAttention& c, std::int64_t begin, std::int64_t end) {
  const std::int64_t blocks = c.key_blocks();
  for (std::int64_t task = begin; task < end; ++task) {
    const std::int64_t head = task / blocks, block = task % blocks;
    const auto start = [&](const FlashAttention::Operand& o) {
      return o.data + head / c.heads * o.batch_stride + head % c.heads * o.head_stride +
             block * kKeys * o.row_stride;
    };
    const std::uint16_t *key = start(c.key), *value = start(c.value);
    std::uint16_t* packed = c.packed + head * blocks * 2 * kKeys * c.dim + block * kKeys * c.dim;
    const std::int64_t count = c.keys - block * kKeys < kKeys ? c.keys - block * kKeys : kKeys;
    for (std::int64_t k = 0; k < kKeys; ++k) {
      for (std::int64_t i = 0; i < c.dim; i += 2) {
        std::uint16_t* pair = packed + (i / 2 * kKeys + k) * 2;
        pair[0] = k < count ? key[k * c.key.row_stride + i] : 0;
        pair[1] = k < count ? key[k * c.key.row_stride + i + 1] : 0;
      }
    }
    packed += blocks * kKeys * c.dim;
    for (std::int64_t k = 0; k < kKeys; k += 2) {
      for (std::int64_t i = 0; i < c.dim; ++i) {
        std::uint16_t* pair = packed + (k / 2 * c.dim + i) * 2;
        pair[0] = k < count ? value[k * c.value.row_stride + i] : 0;
        pair[1] = k + 1 < count ? value[(k + 1) * c.value.row_stride + i] : 0;
      }
    }
  }
}

void flash_attend(const FlashAttention& c, std::int64_t begin, std::int64_t end) {
  Workspace w;  // NOLINT(cppcoreguidelines-pro-type-member-init): written before it is read
  for (std::int64_t task = begin; task < end; ++task) {
    const std::int64_t head = task / c.query_blocks(), first = task % c.query_blocks() * kQueries;
    const std::int64_t rows = c.queries - first < kQueries ? c.queries - first : kQueries;
    const std::int64_t b = head / c.heads, h = head % c.heads;
    copy_queries(c,
                 c.query.data + b * c.query.batch_stride + h * c.query.head_stride +
                     first * c.query.row_stride,
                 rows, w);
    attend_block(c, c.packed + head * c.key_blocks() * 2 * kKeys * c.dim, rows, w);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::uint16_t* y = c.output + ((b * c.queries + first + r) * c.heads + h) * c.dim;
      const float inverse = 1.0F / w.total[r];
      for (std::int64_t i = 0; i < c.dim; i += kLanes)
        store_half(y + i, load(w.sums + r * c.dim + i) * inverse);
    }
  }
}

}  // namespace bw
