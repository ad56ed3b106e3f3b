// How far a tensor is from its golden one. Read denoiser_test.cc for its use.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace bw::testing {

// Golden tensors come from the original models in f32, by other kernels and other orders of
// summation.
constexpr double kTolerance = 1e-4;

// max|a-b| / max|b|
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

// Fails with the worst position and both values there; the largest error goes into the test's
// record.
inline void expect_close(const at::Tensor& found, const at::Tensor& golden, const std::string& name,
                         double tolerance = kTolerance) {
  ASSERT_EQ(found.sizes(), golden.sizes()) << name;
  const double error = relative_error(found, golden);
  const std::int64_t worst = (found - golden).abs().argmax().item<std::int64_t>();
  EXPECT_LE(error, tolerance) << name << ": worst at " << worst << ": "
                              << found.flatten()[worst].item<double>() << ", golden "
                              << golden.flatten()[worst].item<double>();
  ::testing::Test::RecordProperty(name, c10::str(error));
}

}  // namespace bw::testing
