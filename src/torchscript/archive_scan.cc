#include "torchscript/archive_scan.h"

#include <caffe2/serialize/inline_container.h>

#include <set>

#include "base/error.h"
#include "base/files.h"

namespace bw {
namespace {

constexpr std::size_t kMaxRecords = 100'000;
// A code record of a 24-layer text encoder is 60 kB.
constexpr std::size_t kMaxTextBytes = 64 << 20;

bool is_pickle(std::string_view record) { return record.ends_with("pkl"); }

bool is_code(std::string_view record) {
  return record.starts_with("code/") && record.ends_with(".py");
}

void check_names(const std::vector<std::string>& records, const std::string& archive) {
  if (records.size() > kMaxRecords) {
    throw InputError(archive + ": has " + std::to_string(records.size()) +
                     " records; the limit is " + std::to_string(kMaxRecords));
  }
  std::set<std::string> seen;
  for (const std::string& record : records) {
    if (!seen.insert(record).second) {
      throw InputError(archive + ": the record '" + record + "' appears twice");
    }
    // The loader reads such archives by a path of its own, which this scan does not cover.
    if (record == "model.json") {
      throw InputError(archive + ": is an archive of PyTorch before 1.0; export the model again");
    }
  }
  if (!seen.contains("data.pkl") || !seen.contains("constants.pkl")) {
    throw InputError(archive +
                     ": is no TorchScript archive (data.pkl or constants.pkl is missing)");
  }
}

}  // namespace

void scan_archive(caffe2::serialize::PyTorchStreamReader& reader, std::size_t archive_bytes,
                  const std::string& archive) {
  const std::vector<std::string> records = reader.getAllRecords();
  check_names(records, archive);
  for (const std::string& record : records) {
    const std::size_t size = reader.getRecordSize(record);
    const bool is_text = is_code(record) || is_pickle(record);
    // Tensors are stored as they are; only text may be compressed.
    const std::size_t limit = is_text ? kMaxTextBytes : archive_bytes;
    if (size > limit) {
      throw InputError(archive + ": the record '" + record + "' claims " + format_bytes(size) +
                       "; the limit is " + format_bytes(limit));
    }
    if (!is_text) continue;
    const auto [data, bytes] = reader.getRecord(record);
    const std::string_view text(static_cast<const char*>(data.get()), bytes);
    const std::string place = archive + ": " + record;
    if (is_code(record)) {
      scan_code(text, place);
    } else {
      scan_pickle(text, place);
    }
  }
}

}  // namespace bw
