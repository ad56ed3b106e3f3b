// A GPU for a test, or a reason why there is none. With BW_REQUIRE_GPU set a missing one fails the
// test in place of skipping it.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "kernels/device.h"

namespace bw::testing {

inline const c10::Device kGpu(c10::kCUDA, 0);

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      open_device(kGpu);
    } catch (const ResourceError& error) {
      if (std::getenv("BW_REQUIRE_GPU") != nullptr) FAIL() << error.what();
      GTEST_SKIP() << error.what();
    }
  }
};

}  // namespace bw::testing
