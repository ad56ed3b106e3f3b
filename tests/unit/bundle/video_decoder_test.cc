#include "bundle/video_decoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "bundle/bundle.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using testing::bundle_path;
using testing::BundleCopy;
using ::testing::HasSubstr;
using testing::message_of;

std::shared_ptr<const Bundle> load(const std::filesystem::path& path) {
  LoadOptions options;
  options.with_denoiser = false;
  options.with_text_encoder = false;
  return Bundle::load(Bundle::open(path), options);
}

std::vector<at::Tensor> chunks_of(const Bundle& bundle, const at::Tensor& latent,
                                  std::int64_t chunk) {
  std::vector<at::Tensor> chunks;
  bundle.video_decoder()->decode(
      latent, [&](const at::Tensor& frames) { chunks.push_back(frames); }, chunk);
  return chunks;
}

TEST(VideoDecoder_Chunks, AreBytesWithoutTheLeadingFrames) {
  const auto bundle = load(bundle_path("tiny-wan"));
  at::manual_seed(6);
  const std::vector<at::Tensor> chunks = chunks_of(*bundle, at::randn({1, 16, 3, 3, 5}), 1);
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].sizes(), (std::vector<std::int64_t>{1, 24, 40, 3}));  // 4 - 3 frames
  EXPECT_EQ(chunks[1].sizes(), (std::vector<std::int64_t>{4, 24, 40, 3}));
  for (const at::Tensor& chunk : chunks) {
    EXPECT_EQ(chunk.scalar_type(), at::kByte);
    EXPECT_TRUE(chunk.is_contiguous());
  }
}

TEST(VideoDecoder_ChunkSize, DoesNotChangeTheResult) {
  for (const char* name : {"tiny-wan", "synthetic"}) {
    const auto bundle = load(bundle_path(name));
    at::manual_seed(7);
    const at::Tensor latent = at::randn({1, bundle->manifest().latent.channels, 5, 4, 2});
    const at::Tensor one = at::cat(chunks_of(*bundle, latent, 1), 0);
    for (const std::int64_t chunk : {2, 5, 100}) {
      const at::Tensor other = at::cat(chunks_of(*bundle, latent, chunk), 0);
      ASSERT_EQ(other.sizes(), one.sizes());
      // Convolutions over more frames at once may sum in another order: the last bit of a rounded
      // byte may differ.
      const auto difference = (other.to(at::kInt) - one.to(at::kInt)).abs().max().item<int>();
      EXPECT_LE(difference, 1) << name << " chunk " << chunk;
    }
  }
}

TEST(VideoDecoder_LatentsNotFinite, AreRefused) {
  const auto bundle = load(bundle_path("tiny-wan"));
  const at::Tensor latent = at::full({1, 16, 1, 2, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<InputError>([&] { (void)chunks_of(*bundle, latent, 1); }),
              HasSubstr("not finite"));
}

TEST(VideoDecoder_OtherStride, IsRefused) {
  const BundleCopy copy("tiny-wan");
  copy.edit_manifest([](Json& manifest) {
    manifest["latent"]["temporal_stride"] = 2;
    manifest["latent"]["leading_frames"] = 1;
  });
  const auto bundle = load(copy.path());
  const at::Tensor latent = at::zeros({1, 16, 1, 2, 2});
  EXPECT_THAT(message_of<InputError>([&] { (void)chunks_of(*bundle, latent, 1); }),
              HasSubstr("decoder.float32.pt: step() returned frames of [1, 4, 3, 16, 16]"));
}

}  // namespace
}  // namespace bw
