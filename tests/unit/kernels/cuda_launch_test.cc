// Geometry of the CUDA kernels: grids, widths of loads, what does not fit. Needs no device.
#include <gtest/gtest.h>

#include <cstdint>

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace bw::cuda {
namespace {

const void* address(std::uintptr_t value) { return reinterpret_cast<const void*>(value); }

TEST(LoadWidth, EverythingAligned_FillsSixteenBytes) {
  EXPECT_EQ(load_width(Element::kFloat32, {address(64), nullptr, address(16)}, {8, 0, 12}), 4);
  EXPECT_EQ(load_width(Element::kBFloat16, {address(32)}, {1536, 8}), 8);
  EXPECT_EQ(load_width(Element::kBFloat16, {}, {}), 8);
}

TEST(LoadWidth, AddressOrLengthOff_IsOneElement) {
  EXPECT_EQ(load_width(Element::kFloat32, {address(64), address(68)}, {4}), 1);
  EXPECT_EQ(load_width(Element::kBFloat16, {address(66)}, {8}), 1);
  EXPECT_EQ(load_width(Element::kFloat32, {address(64)}, {8, 6}), 1);
  EXPECT_EQ(load_width(Element::kBFloat16, {address(64)}, {12}), 1) << "enough for f32 only";
}

struct RowCase {
  RowShape shape;
  int width;
  int threads;
  int shared_bytes;
};

TEST(RowLaunch, EveryLength_HasWholeWarpsAndOneBlockPerRow) {
  const RowCase cases[] = {
      {{7, 1, false, 0}, 1, 32, 0},            // a warp at least
      {{7, 33, false, 0}, 1, 64, 0},           // rounded up to whole warps
      {{7, 256, true, 0}, 8, 32, 1024},        // one load per thread
      {{65520, 1536, true, 0}, 8, 192, 6144},  // Wan 1.3B
      {{3, 5120, true, 40}, 8, 256, 20640},    // more than one load per thread
      {{3, 12000, false, 0}, 1, 256, 0},
  };
  for (const RowCase& row : cases) {
    const Launch launch = row_launch(row.shape, row.width);
    EXPECT_EQ(launch.blocks, row.shape.rows) << row.shape.dim;
    EXPECT_EQ(launch.threads, row.threads) << row.shape.dim;
    EXPECT_EQ(launch.shared_bytes, row.shared_bytes) << row.shape.dim;
  }
}

TEST(RowLaunch, TooLongOrTooMany_DoesNotFit) {
  const std::int64_t longest = kMaxRowBytes / 4;
  EXPECT_TRUE(fits({1, longest, true, 0}));
  EXPECT_FALSE(fits({1, longest + 1, true, 0}));
  EXPECT_FALSE(fits({1, longest - 3, true, 4}));
  EXPECT_TRUE(fits({1, longest + 1, false, 0})) << "nothing is kept";
  EXPECT_TRUE(fits({2147483647, 8, false, 0}));
  EXPECT_FALSE(fits({2147483648, 8, false, 0}));
  EXPECT_THROW((void)row_launch({1, longest + 1, true, 0}, 1), InternalError);
}

TEST(FlatLaunch, EverySize_IsCoveredWithoutAnEmptyBlock) {
  for (const int width : {1, 4, 8}) {
    const std::int64_t per_block = std::int64_t{kMaxThreads} * width;
    for (const std::int64_t size : {std::int64_t{1}, per_block - 1, per_block, per_block + 1,
                                    3 * per_block + 5, std::int64_t{365'740'032}}) {
      const Launch launch = flat_launch(size, width);
      EXPECT_GE(launch.blocks * per_block, size);
      EXPECT_LT((launch.blocks - 1) * per_block, size);
    }
  }
  EXPECT_EQ(flat_launch(0, 8).blocks, 0);
}

TEST(DistanceLaunch, AnySize_FollowsFromTheSizeAlone) {
  EXPECT_EQ(distance_launch(0).blocks, 0);
  EXPECT_EQ(distance_launch(1).blocks, 1);
  EXPECT_EQ(distance_launch(kDistanceChunk).blocks, 1);
  EXPECT_EQ(distance_launch(kDistanceChunk + 1).blocks, 2);
  EXPECT_EQ(distance_launch(365'740'032).blocks, 22323);
}

}  // namespace
}  // namespace bw::cuda
