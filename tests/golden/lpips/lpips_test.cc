// LPIPS against the lpips package, where the asset is installed (`make lpips`).
#include "base/error.h"
#include "support/golden_clips.h"

namespace bw {
namespace {

TEST(Lpips, EveryCase_AgreesWithThePackage) {
  const MetricInfo& lpips = find_metric("lpips", Origin::flag("--metric"));
  try {
    std::ignore = lpips.find_asset();
  } catch (const InputError& error) {
    GTEST_SKIP() << error.what();
  }
  EXPECT_GE(check_metric(lpips), 25U);
}

}  // namespace
}  // namespace bw
