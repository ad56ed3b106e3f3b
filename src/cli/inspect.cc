#include <CLI/CLI.hpp>
#include <iostream>

#include "base/error.h"
#include "bundle/bundle.h"
#include "cli/command.h"
#include "run/latents.h"
#include "run/run_record.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

Json inspect_bundle(const fs::path& directory, bool verify) {
  const Manifest manifest = Bundle::open(directory);
  std::size_t blocks = 0;
  for (const Expert& expert : manifest.experts) blocks += expert.blocks.size();
  std::uint64_t weight_bytes = 0;
  for (const HashedFile& file : manifest.weights)
    weight_bytes += fs::file_size(directory / file.file);
  Json json = {{"kind", "bundle"},
               {"name", manifest.name},
               {"family", manifest.family},
               {"description", manifest.description},
               {"licence", manifest.licence},
               {"sha256", manifest.hash},
               {"dtypes", runnable_dtypes(manifest)},
               {"blocks", blocks},
               {"weight_bytes", weight_bytes},
               {"scheduler", manifest.scheduler},
               {"guidance", manifest.json.at("guidance")},
               {"defaults", manifest.json.at("defaults")},
               {"cache_presets", manifest.cache_presets}};
  if (!manifest.attribution.empty()) json["attribution"] = manifest.attribution;
  if (verify) {
    std::size_t verified = 0;
    verify_files(manifest, [&](const HashedFile&) { ++verified; });
    json["verified_files"] = verified;
  }
  return json;
}

Json inspect_file(const fs::path& file) {
  if (file.extension() == ".safetensors") {
    const SavedLatents saved = read_latents(file);
    return {{"kind", "latents"},
            {"shape", saved.latents.sizes().vec()},
            {"steps_done", saved.steps},
            {"bundle", saved.bundle},
            {"plan", saved.plan}};
  }
  return read_run_record(file).whole;
}

// Long lists and strings would hide the rest; --json shows them whole.
std::string shorten(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  constexpr std::size_t kLongest = 200;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + " … (--json shows all)";
  return text;
}

void run_inspect(const std::string& what, bool verify, bool as_json) {
  if (!fs::exists(what)) throw InputError(what + ": does not exist");
  const bool is_bundle = fs::is_directory(what);
  if (verify && !is_bundle)
    throw UsageError("--verify: works on a bundle, which is a folder; " + what + " is a file");
  const Json json = is_bundle ? inspect_bundle(what, verify) : inspect_file(what);
  if (as_json) {
    std::cout << json.dump(2) << '\n';
    return;
  }
  for (const auto& [key, value] : json.items()) std::cout << key << ": " << shorten(value) << '\n';
}

}  // namespace

std::function<void()> add_inspect_command(CLI::App& app, TalkOptions& talk) {
  const auto what = std::make_shared<std::string>();
  const auto verify = std::make_shared<bool>(false);
  app.add_option("what", *what, "bundle folder, report (.json), video or latents (.safetensors)")
      ->required();
  app.add_flag("--verify", *verify, "check the sha256 of every file of a bundle, weights included");
  return [what, verify, &talk] { run_inspect(*what, *verify, talk.json); };
}

}  // namespace bw
