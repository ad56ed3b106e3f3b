// A bundle of tests/data copied to a temporary folder, where one thing can be broken.
// Read bad_bundle_test.cc for its use.
#pragma once

#include <functional>
#include <string>

#include "base/files.h"
#include "base/json.h"
#include "unit/torchscript/temporary_folder.h"

namespace bw::testing {

inline std::filesystem::path bundle_path(const std::string& name) {
  return std::filesystem::path(BW_TEST_DATA) / "bundles" / name;
}

class BundleCopy {
 public:
  explicit BundleCopy(const std::string& name) : path_(folder_.path() / name) {
    std::filesystem::copy(bundle_path(name), path_, std::filesystem::copy_options::recursive);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void edit_manifest(const std::function<void(Json&)>& edit) const {
    Json manifest = read_json_file(path_ / "model.json");
    edit(manifest);
    write_file(path_ / "model.json", manifest.dump());
  }

  // Makes the manifest agree with the archive again, so that only what is inside it is wrong.
  void update_hash(const std::string& code, const std::string& dtype) const {
    edit_manifest([&](Json& manifest) {
      Json& entry = manifest["code"][code][dtype];
      entry["sha256"] = sha256_file(path_ / entry["file"].get<std::string>());
    });
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
};

}  // namespace bw::testing
