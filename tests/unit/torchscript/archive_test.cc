#include "torchscript/archive.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/script.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "torchscript/bind.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"
#include "unit/torchscript/temporary_folder.h"

namespace bw {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;

const c10::Device kCpu(c10::kCPU);

// Saves a module that torch itself compiled.
ArchiveFile save(const torch::jit::Module& module, const std::filesystem::path& path) {
  module.save(path.string());
  return {path, sha256_file(path)};
}

torch::jit::Module compile(const std::string& code) {
  torch::jit::Module module("Example");
  module.define(code);
  return module;
}

TEST(LoadArchive_GoodArchive, RunsTheSame) {
  const TemporaryFolder folder;
  const auto file =
      save(compile("def forward(self, x):\n  return torch.add(x, x)\n"), folder.path() / "a.pt");
  const torch::jit::Module module = load_archive(file, kCpu);
  const at::Tensor x = at::arange(4);
  EXPECT_TRUE(at::equal(module.get_method("forward")({x}).toTensor(), x + x));
}

TEST(LoadArchive_EveryFlippedByte, IsRefusedByItsHash) {
  const TemporaryFolder folder;
  const auto file = save(compile("def forward(self, x):\n  return x\n"), folder.path() / "a.pt");
  const std::string bytes = read_file(file.path);
  for (std::size_t at = 0; at < bytes.size(); at += bytes.size() / 16) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(file.path, damaged);
    EXPECT_THAT(message_of<InputError>([&] { (void)load_archive(file, kCpu); }),
                HasSubstr("sha256"));
  }
}

// The hash says who made the archive, the scan what it may do: a hash that agrees must not help.
TEST(LoadArchive_ForbiddenOperatorInSetstate, DoesNotRun) {
  const TemporaryFolder folder;
  const auto target = folder.path() / "written";
  torch::jit::Module module = compile(
      "def forward(self, x):\n  return x\n"
      "def __getstate__(self) -> int:\n  return 0\n"
      "def __setstate__(self, state: int) -> None:\n  torch.save(state, '" +
      target.string() + "')\n");
  const auto file = save(module, folder.path() / "a.pt");
  const std::string message = message_of<InputError>([&] { (void)load_archive(file, kCpu); });
  EXPECT_THAT(message, HasSubstr("aten.save"));
  EXPECT_THAT(message, HasSubstr("a.pt: code/"));
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST(LoadArchive_NoArchive, IsRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.pt";
  const std::string whole = [&] {
    save(compile("def forward(self, x):\n  return x\n"), path);
    return read_file(path);
  }();
  for (const std::string& bytes : {std::string("no zip"), whole.substr(0, whole.size() / 2)}) {
    write_file(path, bytes);
    EXPECT_THAT(message_of<InputError>([&] {
                  (void)load_archive({path, sha256(bytes)}, kCpu);
                }),
                HasSubstr("a.pt"));
  }
  std::filesystem::remove(path);
  EXPECT_THROW((void)load_archive({path, sha256("")}, kCpu), InputError);
}

TEST(LoadArchive_DeviceConstant, BecomesTheDeviceOfTheRun) {
  const TemporaryFolder folder;
  const auto file = save(compile("def forward(self, x):\n"
                                 "  if bool(torch.ones([1]).sum() > 0):\n"
                                 "    return torch.zeros([2], device=torch.device('meta'))\n"
                                 "  return x\n"),
                         folder.path() / "a.pt");
  const torch::jit::Module module = load_archive(file, kCpu);
  EXPECT_TRUE(module.get_method("forward")({at::ones({1})}).toTensor().is_cpu());
}

struct WrongSignature {
  const char* reason;
  MethodSpec spec;
  const char* message;
};

TEST(FindMethod_WrongSignature, SaysExpectedAndFound) {
  const torch::jit::Module module = compile(
      "def step(self, latent, caches: Tuple[Tensor, Tensor]):\n"
      "  return (latent, caches)\n");
  constexpr ArgumentSpec kLatent{"latent", ValueKind::kTensor};
  constexpr ArgumentSpec kCaches{"caches", ValueKind::kTuple};
  const MethodSpec good{"step", {kLatent, kCaches}, ValueKind::kTensorAndTuple};
  EXPECT_NO_THROW((void)find_method(module, good, "a.pt"));
  const std::vector<WrongSignature> table = {
      {"another method", {"initial", {kLatent}, ValueKind::kTuple}, "found step"},
      {"another name",
       {"step", {{"x", ValueKind::kTensor}, kCaches}, ValueKind::kTensorAndTuple},
       "step(x: tensor"},
      {"another type",
       {"step", {kLatent, {"caches", ValueKind::kTensor}}, ValueKind::kTensorAndTuple},
       "caches: Tuple[Tensor, Tensor]"},
      {"one argument less",
       {"step", {kLatent}, ValueKind::kTensorAndTuple},
       "latent: Tensor, caches"},
      {"another result", {"step", {kLatent, kCaches}, ValueKind::kTuplePair}, "-> (tuple, tuple)"},
  };
  for (const WrongSignature& row : table) {
    const std::string message =
        message_of<InputError>([&] { (void)find_method(module, row.spec, "a.pt"); });
    EXPECT_THAT(message, HasSubstr(row.message)) << row.reason;
    EXPECT_THAT(message, HasSubstr("a.pt: expected the method")) << row.reason;
  }
}

// A module with one parameter below another module, on the meta device.
torch::jit::Module make_unbound(at::ScalarType dtype) {
  torch::jit::Module inner("Inner");
  inner.register_parameter(
      "weight", at::empty({2, 3}, at::TensorOptions().device(at::kMeta).dtype(dtype)), false);
  torch::jit::Module outer("Outer");
  outer.register_module("inner", inner);
  outer.register_parameter("own", at::ones({3}), false);
  outer.register_buffer("buffer", at::full({1}, 7.0));
  return outer;
}

class BindTest : public ::testing::Test {
 protected:
  WeightSet weights(const std::string& name, const at::Tensor& tensor) {
    const std::filesystem::path path = folder_.path() / "w.safetensors";
    const std::vector<std::pair<std::string, at::Tensor>> tensors = {{name, tensor}};
    write_safetensors(path, tensors, {});
    const std::vector<std::filesystem::path> files = {path};
    return WeightSet(files);
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(BindTest, SameDtype_UsesTheMapping) {
  const WeightSet set = weights("blocks.3.inner.weight", at::randn({2, 3}));
  const torch::jit::Module code = make_unbound(at::kFloat);
  const torch::jit::Module bound =
      bind_weights(code, {set, "blocks.3.", {}, WeightForm::kStored}, "a.pt");
  const at::Tensor weight = bound.attr("inner").toModule().attr("weight").toTensor();
  EXPECT_EQ(weight.data_ptr(), set.find("blocks.3.inner.weight")->data_ptr());
  EXPECT_TRUE(at::equal(bound.attr("own").toTensor(), at::ones({3})));
  EXPECT_EQ(bound.attr("buffer").toTensor().item<double>(), 7.0);
  // The code itself stays free for the next block.
  EXPECT_TRUE(code.attr("inner").toModule().attr("weight").toTensor().is_meta());
}

TEST_F(BindTest, OtherDtype_IsConverted) {
  const at::Tensor stored = at::randn({2, 3});
  const WeightSet set = weights("inner.weight", stored);
  const torch::jit::Module bound =
      bind_weights(make_unbound(at::kBFloat16), {set, "", {}, WeightForm::kStored}, "a.pt");
  const at::Tensor weight = bound.attr("inner").toModule().attr("weight").toTensor();
  EXPECT_TRUE(at::equal(weight, stored.to(at::kBFloat16)));
}

TEST_F(BindTest, MissingTensor_IsNamedWithTheNearest) {
  const WeightSet set = weights("inner.weigth", at::randn({2, 3}));
  const std::string message = message_of<InputError>([&] {
    (void)bind_weights(make_unbound(at::kFloat), {set, "", {}, WeightForm::kStored}, "a.pt");
  });
  EXPECT_THAT(message, HasSubstr("a.pt: 1 tensors are missing in the weight files: inner.weight"));
  EXPECT_THAT(message, HasSubstr("'inner.weigth'"));
}

TEST_F(BindTest, WrongShapeOrKind_SaysExpectedAndFound) {
  for (const at::Tensor& bad : {at::randn({3, 2}), at::zeros({2, 3}, at::kLong)}) {
    const WeightSet set = weights("inner.weight", bad);
    const std::string message = message_of<InputError>([&] {
      (void)bind_weights(make_unbound(at::kFloat), {set, "", {}, WeightForm::kStored}, "a.pt");
    });
    EXPECT_THAT(message, HasSubstr("'inner.weight'"));
    EXPECT_THAT(message, HasSubstr("expects Float[2, 3]"));
  }
}

TEST(Call_FailureInside, IsInputErrorNamingTheArchive) {
  const torch::jit::Module module = compile("def forward(self, x):\n  return torch.matmul(x, x)\n");
  const std::string message = message_of<InputError>([&] {
    (void)call(module.get_method("forward"), {at::ones({2, 3})}, "a.pt");
  });
  EXPECT_THAT(message, HasSubstr("a.pt: forward() failed"));
}

TEST(Tuples_RoundTrip, KeepTheTensors) {
  const std::vector<at::Tensor> tensors = {at::ones({1}), at::zeros({2})};
  const std::vector<at::Tensor> back = from_tuple(to_tuple(tensors));
  ASSERT_EQ(back.size(), 2U);
  EXPECT_TRUE(back[1].is_same(tensors[1]));
}

}  // namespace
}  // namespace bw
