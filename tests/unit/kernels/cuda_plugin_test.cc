// The plug-in without a device: it loads beside the libraries that the program has, and every
// operator finds its CUDA kernel under the schema that graphs use.
#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/device.h"
#include "kernels/operators.h"

namespace bw {
namespace {

#ifdef BW_CUDA_PLUGIN
TEST(CudaPlugin, Loaded_HasAKernelForEveryOperator) {
  register_operators();
  // A kernel whose arguments do not fit its schema is refused by the dispatcher here.
  void* plugin = dlopen(BW_CUDA_PLUGIN, RTLD_NOW | RTLD_GLOBAL);
  ASSERT_NE(plugin, nullptr) << dlerror();
  for (const char* name : {"norm_modulate", "gated_add", "qk_norm_rope", "linear",
                           "gated_activation", "attention", "combine", "relative_l1_"}) {
    const auto op = c10::Dispatcher::singleton().findSchema({std::string("bw::") + name, ""});
    ASSERT_TRUE(op.has_value()) << name;
    EXPECT_TRUE(op->hasKernelForDispatchKey(c10::DispatchKey::CUDA)) << name;
  }
  void* lowest = dlsym(plugin, "bw_cuda_lowest_architecture");
  ASSERT_NE(lowest, nullptr);
  EXPECT_GE(reinterpret_cast<int (*)()>(lowest)(), 50);
}
#else
TEST(CudaPlugin, Loaded_HasAKernelForEveryOperator) {
  GTEST_SKIP() << "the plug-in was not built: there is no nvcc, or BW_WITH_CUDA is OFF";
}
#endif

TEST(ParseDevice, EveryForm_IsUnderstood) {
  const Origin origin = Origin::flag("--device");
  EXPECT_EQ(parse_device("cpu", origin), c10::Device(c10::kCPU));
  EXPECT_EQ(parse_device("cuda", origin), c10::Device(c10::kCUDA, 0));
  EXPECT_EQ(parse_device("cuda:12", origin), c10::Device(c10::kCUDA, 12));
  for (const char* wrong :
       {"", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:128", "CUDA", "mps"}) {
    EXPECT_THROW((void)parse_device(wrong, origin), UsageError) << wrong;
  }
}

TEST(OpenDevice, Cpu_NeedsNothing) { EXPECT_NO_THROW(open_device(c10::Device(c10::kCPU))); }

}  // namespace
}  // namespace bw
