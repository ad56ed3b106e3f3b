#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "bundle/bundle.h"
#include "bundle/code_library.h"
#include "cli/command.h"
#include "run/latents.h"
#include "run/options.h"
#include "run/prompt_reading.h"
#include "run/report_page.h"
#include "run/resolve.h"
#include "run/run_record.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

struct BundleChecks {
  bool verify = false;
  bool verbose = false;
};

// {"bfloat16": {"block": {"attention": 2, …}, …}, …}
Json rewrites_to_json(const Manifest& manifest) {
  Json json = Json::object();
  for (const std::string& dtype : runnable_dtypes(manifest)) {
    const at::ScalarType type = find_dtype(manifest, dtype, Origin::flag("--verbose"));
    for (const auto& [archive, counts] : count_rewrites(manifest, type)) {
      json[dtype][archive] = counts;
    }
  }
  return json;
}

Json inspect_bundle(const fs::path& directory, const BundleChecks& checks) {
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
  if (checks.verbose) json["fused_operators"] = rewrites_to_json(manifest);
  if (checks.verify) {
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
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // within a character
  return text.substr(0, end) + " … (--json shows all)";
}

// By dtype and archive: what is fused, and in brackets what was looked for in vain.
void print_rewrites(const Json& rewrites) {
  for (const auto& [dtype, archives] : rewrites.items()) {
    for (const auto& [archive, counts] : archives.items()) {
      std::string found, missing;
      for (const auto& [op, count] : counts.items()) {
        if (count == 0) {
          missing += (missing.empty() ? "" : ", ") + op;
        } else {
          found += (found.empty() ? "" : ", ") + op + " " + count.dump();
        }
      }
      std::cout << "  " << dtype << ' ' << archive << ": " << (found.empty() ? "none" : found)
                << (missing.empty() ? "" : " (not found: " + missing + ")") << '\n';
    }
  }
}

void inspect_path(const std::string& what, const BundleChecks& checks, bool as_json) {
  if (!fs::exists(what)) throw InputError(what + ": does not exist");
  const bool is_bundle = fs::is_directory(what);
  if ((checks.verify || checks.verbose) && !is_bundle) {
    throw UsageError(std::string(checks.verify ? "--verify" : "--verbose") +
                     ": works on a bundle, which is a folder; " + what + " is a file");
  }
  const Json json = is_bundle ? inspect_bundle(what, checks) : inspect_file(what);
  if (as_json) {
    std::cout << json.dump(2) << '\n';
    return;
  }
  for (const auto& [key, value] : json.items()) {
    if (key == "fused_operators") {
      std::cout << key << ":\n";
      print_rewrites(value);
    } else {
      std::cout << key << ": " << shorten(value) << '\n';
    }
  }
}

// "99 %"; never "100 %" of what is not certain.
std::string percent(double probability) {
  const int rounded = std::min(99, static_cast<int>(std::lround(100 * probability)));
  return (rounded == 0 ? "<1" : std::to_string(rounded)) + " %";
}

std::string value_text(const AttributeValue& value) {
  return value.value.value_or("not mentioned");
}

void print_attributes(const std::vector<AttributeReading>& attributes) {
  std::size_t names = 0;
  std::size_t values = 0;
  for (const AttributeReading& attribute : attributes) {
    names = std::max(names, attribute.name.size());
    values = std::max(values, value_text(attribute.best).size());
  }
  for (const AttributeReading& attribute : attributes) {
    std::cout << "  " << std::left << std::setw(static_cast<int>(names) + 2) << attribute.name
              << std::setw(static_cast<int>(values) + 2) << value_text(attribute.best)
              << percent(attribute.best.probability);
    if (attribute.is_unsure()) {
      std::cout << "  unsure, next is '" << value_text(attribute.next) << "' with "
                << percent(attribute.next.probability);
    }
    std::cout << '\n';
  }
}

void print_reading(const PromptReading& reading, const std::string& model) {
  std::cout << "prompt: " << shorten(reading.prompt) << '\n';
  if (reading.cut_tokens > 0) {
    const std::size_t begin =
        std::min(reading.cut_text.find_first_not_of(' '), reading.cut_text.size());
    std::cout << "cut off, since the prompt is longer than the model reads: "
              << shorten(reading.cut_text.substr(begin)) << '\n';
  }
  if (reading.attributes.empty()) {
    std::cout << "understood: the model '" << model << "' does not tell; its bundle has no "
              << "text.attributes\n";
  } else {
    std::cout << "understood:\n";
    print_attributes(reading.attributes);
  }
  std::cout << "words that mean nothing to it: ";
  if (!reading.unknown_words) {
    std::cout << "the model '" << model << "' does not tell; its bundle has no text.words\n";
    return;
  }
  std::string words;
  for (const std::string& word : *reading.unknown_words)
    words += (words.empty() ? "" : ", ") + word;
  std::cout << (words.empty() ? "none" : shorten(words)) << '\n';
}

bool concerns_prompts(const OptionInfo& option) {
  return option.key == "prompt" || option.key == "model" || option.key == "dtype";
}

void inspect_prompt(const Request& request, bool as_json) {
  const std::string prompt = request.text("prompt").value();
  if (!is_valid_utf8(prompt)) reject(request.origin("prompt"), "is not valid UTF-8");
  const Manifest manifest = Bundle::open(find_bundle(request));
  if (manifest.text_encoder.empty()) {
    throw InputError(manifest.directory.string() + ": the model '" + manifest.name +
                     "' has no text encoder, so it reads no prompts");
  }
  const std::string dtype = request.text("dtype").value_or(default_dtype(manifest));
  LoadOptions load;
  load.dtype = find_dtype(manifest, dtype, request.origin("dtype"));
  load.with_denoiser = false;
  load.with_decoder = false;
  const auto model = Bundle::load(manifest, load);
  const PromptReading reading = read_prompt(*model, prompt);
  if (!as_json) {
    print_reading(reading, manifest.name);
    return;
  }
  Json json = {{"kind", "prompt"},
               {"bundle", {{"name", manifest.name}, {"sha256", manifest.hash}}},
               {"dtype", dtype}};
  json.update(reading_to_json(reading));
  std::cout << json.dump(2) << '\n';
}

struct InspectOptions {
  std::vector<std::string> what;
  std::string page;
  BundleChecks checks;
  RunFlags flags;
};

// --report: a page of one result, or of several runs side by side.
void inspect_on_page(const InspectOptions& options, const TalkOptions& talk) {
  if (options.flags.request().has("prompt")) {
    throw UsageError("--report: shows reports and videos; leave out --prompt");
  }
  if (options.what.empty()) {
    throw UsageError("--report: say of what: reports (.json) or videos");
  }
  if (options.checks.verify || options.checks.verbose) {
    throw UsageError(std::string(options.checks.verify ? "--verify" : "--verbose") +
                     ": works on a bundle; leave out --report");
  }
  if (talk.json) throw UsageError("--json: prints a result; leave out --report, which writes one");
  check_page_path(options.page);
  std::vector<PageSource> sources;
  for (const std::string& file : options.what) {
    if (fs::absolute(file).lexically_normal() == fs::absolute(options.page).lexically_normal())
      throw UsageError("--report: is the same file as " + file + ", which is to be shown");
    sources.push_back(read_page_source(file));
  }
  const auto observer = make_observer(talk.progress);
  const Page page = sources.size() == 1 ? page_of(sources.front()) : page_of_set(sources);
  write_page(options.page, page, *observer);
  std::cout << options.page << '\n';
}

// Either a path or a prompt; what belongs to the other is refused, not ignored.
void run_inspect(const InspectOptions& options, const TalkOptions& talk) {
  if (!options.page.empty()) {
    inspect_on_page(options, talk);
    return;
  }
  if (options.what.size() > 1) {
    throw UsageError("inspect: prints one at a time, got " + std::to_string(options.what.size()) +
                     "; --report FILE.html sets several runs side by side");
  }
  const Request request = options.flags.request();
  if (!request.has("prompt")) {
    if (options.what.empty()) {
      throw UsageError(
          "inspect: say what: a bundle folder, a report, a video or a latents file; or --prompt "
          "TEXT");
    }
    for (const char* key : {"model", "dtype"}) {
      if (request.has(key)) {
        reject(request.origin(key), "belongs to --prompt; a bundle is inspected by its folder");
      }
    }
    inspect_path(options.what.front(), options.checks, talk.json);
    return;
  }
  if (!options.what.empty()) {
    reject(request.origin("prompt"), "cannot be given together with '" + options.what.front() +
                                         "'; --model names the bundle that reads the prompt");
  }
  if (options.checks.verify) throw UsageError("--verify: works on a bundle, not on a prompt");
  if (options.checks.verbose) throw UsageError("--verbose: works on a bundle, not on a prompt");
  inspect_prompt(request, talk.json);
}

}  // namespace

std::function<void()> add_inspect_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<InspectOptions>();
  app.add_option("what", options->what,
                 "bundle folder, report (.json), video or latents (.safetensors)")
      ->type_name("FILE …");
  app.add_option("--report", options->page,
                 "write a page (.html) of a report, a video or a bench; of several reports or "
                 "videos side by side");
  app.add_flag("--verbose", options->checks.verbose,
               "list the fused operators that the code of a bundle is rewritten to");
  app.add_flag("--verify", options->checks.verify,
               "check the sha256 of every file of a bundle, weights included");
  options->flags.add_to(app, concerns_prompts);
  return [options, &talk] { run_inspect(*options, talk); };
}

}  // namespace bw
