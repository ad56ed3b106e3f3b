#include "torchscript/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "unit/torchscript/temporary_folder.h"

namespace bw {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;

std::string little_endian(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// A file as the format describes it, made by hand.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  return little_endian(header.size()) + header + std::string(data_bytes, '\0');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

struct BadFile {
  const char* reason;
  std::string bytes;
  const char* message;
};

TEST(Safetensors_Corrupt, IsRefusedNamingWhatIsWrong) {
  const std::string good = entry("F32", "[2]", "[0,8]");
  const std::vector<BadFile> table = {
      {"no room for the length", "abc", "cut short"},
      {"a header longer than the file", little_endian(1000) + "{}", "claims 1000 bytes"},
      {"a header of absurd length", little_endian(~0ULL) + "{}", "claims 18446744073709551615"},
      {"a length that overflows when 8 is added", little_endian(~0ULL - 7) + "{}", "claims"},
      {"no JSON", file_of("{\"a\":", 0), "not valid JSON"},
      {"no object", file_of("[1]", 0), "must be an object"},
      {"a name twice", file_of("{\"a\":" + good + ",\"a\":" + good + "}", 8), "appears twice"},
      {"an entry that is no object", file_of(R"({"a":3})", 8), "'a'"},
      {"no dtype", file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8), "dtype"},
      {"an unknown dtype", file_of("{\"a\":" + entry("F31", "[2]", "[0,8]") + "}", 8), "'F31'"},
      {"an unknown key",
       file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8),
       "unknown key"},
      {"a negative size", file_of("{\"a\":" + entry("F32", "[-2]", "[0,8]") + "}", 8), ">= 0"},
      {"a size that is no integer", file_of("{\"a\":" + entry("F32", "[2.5]", "[0,8]") + "}", 8),
       "integer"},
      {"sizes whose product overflows",
       file_of("{\"a\":" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", 8),
       "more than there are"},
      {"a size beyond 63 bits",
       file_of("{\"a\":" + entry("U8", "[9223372036854775808]", "[0,8]") + "}", 8), "too large"},
      {"too many axes",
       file_of("{\"a\":" + entry("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]") + "}", 8),
       "0 to 16"},
      {"three offsets", file_of("{\"a\":" + entry("F32", "[2]", "[0,8,16]") + "}", 16),
       "data_offsets"},
      {"offsets that run backwards", file_of("{\"a\":" + entry("F32", "[2]", "[8,0]") + "}", 8),
       "bytes 8 to 0"},
      {"data beyond the end: a truncated file", file_of("{\"a\":" + good + "}", 7),
       "holds 7 bytes"},
      {"an offset beyond 63 bits",
       file_of("{\"a\":" + entry("F32", "[2]", "[18446744073709551608,18446744073709551615]") + "}",
               8),
       "bytes 18"},
      {"fewer bytes than the shape needs",
       file_of("{\"a\":" + entry("F32", "[3]", "[0,8]") + "}", 12), "need 12"},
      {"more bytes than the shape needs",
       file_of("{\"a\":" + entry("F32", "[1]", "[0,8]") + "}", 8), "need 4"},
      {"two tensors that overlap",
       file_of("{\"a\":" + good + ",\"b\":" + entry("F32", "[2]", "[4,12]") + "}", 12),
       "overlaps 'a'"},
      {"metadata that is no text", file_of(R"({"__metadata__":{"k":1}})", 0), "__metadata__"},
  };
  const TemporaryFolder folder;
  const auto path = folder.path() / "bad.safetensors";
  for (const BadFile& row : table) {
    std::ofstream(path, std::ios::binary) << row.bytes;
    const std::string message = message_of<InputError>([&] { (void)read_safetensors(path); });
    EXPECT_THAT(message, HasSubstr(row.message)) << row.reason;
    EXPECT_THAT(message, HasSubstr("bad.safetensors")) << row.reason;
  }
}

TEST(Safetensors_Written, ReadsBackWithMetadata) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "deep" / "x.safetensors";
  at::manual_seed(1);
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"bytes", at::arange(3, at::kByte)},  // makes what follows lie askew for its dtype
      {"f32", at::randn({2, 3})},
      {"transposed", at::randn({2, 3}).t()},
      {"bf16", at::randn({5}).to(at::kBFloat16)},
      {"f16", at::randn({5}).to(at::kHalf)},
      {"i64", at::arange(4)},
      {"scalar", at::scalar_tensor(3.5)},
      {"empty", at::empty({0, 4})},
      {"bool", at::arange(3) > 1}};
  write_safetensors(path, tensors, {{"prompt", "a \"fox\"\n"}});
  const Safetensors read = read_safetensors(path);
  EXPECT_EQ(read.metadata.at("prompt"), "a \"fox\"\n");
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(read.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.tensors.at(name), tensor)) << name;
  }
}

// The layout of the format's description, not our writer's.
TEST(Safetensors_ByHand, IsReadWhereItIsMapped) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "hand.safetensors";
  const std::string header = R"({"a":{"dtype":"I16","shape":[2,1],"data_offsets":[2,6]}})";
  std::ofstream(path, std::ios::binary)
      << little_endian(header.size()) + header + std::string("\xFF\xFF\x01\x00\x00\x80", 6);
  at::Tensor kept;
  {
    const Safetensors read = read_safetensors(path);
    kept = read.tensors.at("a");
  }
  EXPECT_TRUE(at::equal(kept, at::tensor({1, -32768}, at::kShort).view({2, 1})));
}

TEST(WeightSet_NameInTwoFiles, IsRefused) {
  const TemporaryFolder folder;
  const std::vector<std::filesystem::path> files = {folder.path() / "1.safetensors",
                                                    folder.path() / "2.safetensors"};
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {{"w", at::zeros({1})}};
  for (const auto& file : files) write_safetensors(file, tensors, {});
  EXPECT_THAT(message_of<InputError>([&] { (void)WeightSet(files); }), HasSubstr("'w'"));
}

TEST(Safetensors_FolderNotWritable, IsOutputError) {
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {{"w", at::zeros({1})}};
  EXPECT_THROW(write_safetensors("/proc/none/x.safetensors", tensors, {}), OutputError);
}

}  // namespace
}  // namespace bw
