// safetensors files: tensors of an untrusted file, used where they are mapped; and writing them.
// Read bind.h for how they become the parameters of a module.
// Layout: u64 header size, JSON header {name: {dtype, shape, data_offsets}}, data
// (github.com/huggingface/safetensors).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bw {

struct Safetensors {
  std::map<std::string, at::Tensor>
      tensors;  // CPU, contiguous; share one mapping and keep it alive
  std::map<std::string, std::string> metadata;  // the header's "__metadata__"
};

// Maps the file. Nothing of it is trusted: sizes, offsets, shapes, dtypes and names are checked
// against its length. Tensors must not be changed in place by more than one owner: pages are
// private to the process, but shared in it. Throws InputError naming the file, the tensor and the
// limit.
[[nodiscard]] Safetensors read_safetensors(const std::filesystem::path& path);

// Writes tensors in this order (made contiguous and moved to the CPU as needed). Throws
// OutputError.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, at::Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata);

// The tensors of several files under their names.
class WeightSet {
 public:
  // A name in two files is InputError.
  explicit WeightSet(std::span<const std::filesystem::path> files);
  WeightSet() = default;

  // Null when there is none of that name.
  [[nodiscard]] const at::Tensor* find(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace bw
