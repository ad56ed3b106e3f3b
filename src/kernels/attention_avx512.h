// Attention in bfloat16 with AVX-512 BF16 products: key blocks of 64 with a running softmax
// (FlashAttention, Dao et al. 2022), on raw memory. Read attention.h for when it runs.
#pragma once

#include <cstdint>

namespace bw {

// One call. All tensors [batch,heads,length,dim] of bf16 bits with contiguous dim; strides in
// elements.
struct FlashAttention {
  struct Operand {
    const std::uint16_t* data = nullptr;
    std::int64_t batch_stride = 0;
    std::int64_t head_stride = 0;
    std::int64_t row_stride = 0;
  };
  Operand query;
  Operand key;
  Operand value;
  std::uint16_t* output = nullptr;  // [batch,queries,heads,dim] without gaps
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t dim = 0;  // a multiple of 64, at most kFlashMaxDim
  float scale = 1;
  std::uint16_t* packed = nullptr;  // packed_size() elements

  [[nodiscard]] std::int64_t key_blocks() const { return (keys + 63) / 64; }
  // Per head: the keys' blocks, then the values'.
  [[nodiscard]] std::int64_t packed_size() const {
    return batch * heads * key_blocks() * 2 * 64 * dim;
  }
  [[nodiscard]] std::int64_t num_pack_tasks() const { return batch * heads * key_blocks(); }
  [[nodiscard]] std::int64_t query_blocks() const;
  [[nodiscard]] std::int64_t num_tasks() const { return batch * heads * query_blocks(); }
};

inline constexpr std::int64_t kFlashMaxDim = 256;

// Both work on tasks [begin,end); all packing comes before all attending.
void flash_pack(const FlashAttention& call, std::int64_t begin, std::int64_t end);
void flash_attend(const FlashAttention& call, std::int64_t begin, std::int64_t end);

}  // namespace bw
