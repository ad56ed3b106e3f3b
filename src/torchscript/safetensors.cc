#include "torchscript/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace bw {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t kMaxDimensions = 16;
constexpr const char* kMetadata = "__metadata__";

struct DtypeName {
  std::string_view name;
  at::ScalarType type;
};

constexpr std::array<DtypeName, 11> kDtypes = {{
    {"F64", at::kDouble},
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
}};

at::ScalarType dtype_of(const std::string& name, const Origin& origin) {
  std::string known;
  for (const DtypeName& row : kDtypes) {
    if (row.name == name) return row.type;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  reject(origin, "unknown dtype '" + name + "' (known: " + known + ")");
}

std::string_view name_of(at::ScalarType type) {
  const auto* row = std::ranges::find(kDtypes, type, &DtypeName::type);
  if (row == kDtypes.end()) {
    throw InternalError(std::string("safetensors cannot hold ") + c10::toString(type));
  }
  return row->name;
}

// Where a tensor lies in the data, in bytes.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::string name;
};

std::uint64_t unsigned_integer(const Json& value, const Origin& origin) {
  const bool valid =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
  if (!valid) reject(origin, "must be an integer >= 0, got " + value.dump());
  return value.get<std::uint64_t>();
}

const Json& list(JsonObject& object, const std::string& key, std::size_t min, std::size_t max) {
  const Json& value = object.require(key);
  if (!value.is_array() || value.size() < min || value.size() > max) {
    reject(object.at(key), "must be a list of " + std::to_string(min) + " to " +
                               std::to_string(max) + " integers, got " + json_type_name(value));
  }
  return value;
}

// Bytes of a tensor; none when that is no number of 63 bits.
std::optional<std::uint64_t> count_bytes(const std::vector<std::int64_t>& shape,
                                         std::size_t element_size) {
  std::uint64_t bytes = element_size;
  for (const std::int64_t size : shape) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &product)) return {};
    bytes = product;
  }
  if (bytes > std::numeric_limits<std::int64_t>::max()) return {};
  return bytes;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : file_(std::make_shared<const MappedFile>(path)),
        origin_(Origin::file(path.string() + ": ")) {}

  Safetensors read() {
    const std::span<const std::byte> bytes = file_->bytes();
    if (bytes.size() < kLengthBytes) {
      reject(origin_, "is cut short: " + std::to_string(bytes.size()) + " bytes");
    }
    std::uint64_t header_bytes = 0;  // little-endian, like the hosts we build for
    std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
    const std::uint64_t available = bytes.size() - kLengthBytes;
    if (header_bytes > available || header_bytes > kMaxHeaderBytes) {
      reject(origin_, "the header claims " + std::to_string(header_bytes) +
                          " bytes; the file has " + std::to_string(available) + ", the limit is " +
                          std::to_string(kMaxHeaderBytes));
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                                header_bytes);
    data_ = bytes.subspan(kLengthBytes + header_bytes);
    const Json header = parse_json(text, origin_);
    if (!header.is_object()) reject(origin_, "the header must be an object");
    Safetensors result;
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadata) {
        result.metadata = read_metadata(entry);
      } else {
        result.tensors.emplace(name, read_tensor(name, entry));
      }
    }
    check_overlap();
    return result;
  }

 private:
  [[nodiscard]] std::map<std::string, std::string> read_metadata(const Json& entry) const {
    JsonObject object(entry, origin_.at(kMetadata));
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : entry.items()) result[key] = object.text(key);
    return result;
  }

  at::Tensor read_tensor(const std::string& name, const Json& entry) {
    const Origin origin = origin_.at("'" + name + "'");
    JsonObject object(entry, origin);
    const at::ScalarType dtype = dtype_of(object.text("dtype"), origin);
    std::vector<std::int64_t> shape;
    for (const Json& size : list(object, "shape", 0, kMaxDimensions)) {
      const std::uint64_t value = unsigned_integer(size, object.at("shape"));
      if (value > std::numeric_limits<std::int64_t>::max())
        reject(origin, "the shape is too large");
      shape.push_back(static_cast<std::int64_t>(value));
    }
    const Json& offsets = list(object, "data_offsets", 2, 2);
    const std::uint64_t begin = unsigned_integer(offsets[0], object.at("data_offsets"));
    const std::uint64_t end = unsigned_integer(offsets[1], object.at("data_offsets"));
    object.finish();
    if (begin > end || end > data_.size()) {
      reject(origin, "lies at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                         ", but the file holds " + std::to_string(data_.size()) +
                         " bytes of data; it is cut short or damaged, copy or download it again");
    }
    const auto bytes = count_bytes(shape, c10::elementSize(dtype));
    if (!bytes || *bytes != end - begin) {
      reject(origin, "has " + std::to_string(end - begin) + " bytes, its shape and dtype need " +
                         (bytes ? std::to_string(*bytes) : "more than there are"));
    }
    extents_.push_back({begin, end, name});
    return map_tensor(begin, shape, dtype);
  }

  [[nodiscard]] at::Tensor map_tensor(std::uint64_t begin, const std::vector<std::int64_t>& shape,
                                      at::ScalarType dtype) const {
    // Note: [Alignment] the format aligns the data to 8 bytes only; a tensor that lies askew for
    // its dtype is copied.
    auto* data = const_cast<std::byte*>(data_.data() + begin);
    const bool is_aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(dtype) == 0;
    if (!is_aligned) {
      at::Tensor copy = at::empty(shape, dtype);
      if (copy.nbytes() > 0) std::memcpy(copy.mutable_data_ptr(), data, copy.nbytes());
      return copy;
    }
    return at::from_blob(
        data, shape, [file = file_](void*) {}, dtype);
  }

  void check_overlap() {
    std::ranges::sort(extents_, {}, [](const Extent& e) { return std::pair(e.begin, e.end); });
    for (std::size_t i = 1; i < extents_.size(); ++i) {
      if (extents_[i].begin < extents_[i - 1].end) {
        reject(origin_.at("'" + extents_[i].name + "'"),
               "overlaps '" + extents_[i - 1].name + "' in the file");
      }
    }
  }

  std::shared_ptr<const MappedFile> file_;
  Origin origin_;
  std::span<const std::byte> data_;
  std::vector<Extent> extents_;
};

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, at::Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", name_of(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const std::uint64_t header_bytes = text.size();

  PendingFile pending(path);
  errno = 0;
  std::ofstream file(pending.path(), std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&header_bytes), kLengthBytes);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    file.write(static_cast<const char*>(plain.const_data_ptr()),
               static_cast<std::streamsize>(plain.nbytes()));
  }
  file.close();
  if (!file) throw OutputError(path.string() + ": cannot be written: " + std::strerror(errno));
  pending.commit();
}

WeightSet::WeightSet(std::span<const std::filesystem::path> files) {
  for (const std::filesystem::path& file : files) {
    for (auto& [name, tensor] : read_safetensors(file).tensors) {
      if (!tensors_.emplace(name, tensor).second) {
        throw InputError(file.string() + ": the tensor '" + name +
                         "' is in another weight file too");
      }
    }
  }
}

const at::Tensor* WeightSet::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

std::vector<std::string> WeightSet::names() const {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors_) result.push_back(name);
  return result;
}

}  // namespace bw
