#include "bundle/manifest_reader.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"

namespace bw {
namespace {

constexpr std::int64_t kFormatVersion = 1;
constexpr std::size_t kMaxNameBytes = 300;
constexpr std::int64_t kMaxSize = 1 << 24;
constexpr std::int64_t kMaxStride = 256;
constexpr std::size_t kMaxAttributes = 64;
constexpr std::size_t kMaxClasses = 1000;
constexpr std::size_t kMaxWords = 100'000;

void check_version(JsonObject& root) {
  const std::int64_t version = root.integer("format_version");
  if (version > kFormatVersion) {
    reject(root.at("format_version"), "the bundle has format version " + std::to_string(version) +
                                          "; this program reads up to " +
                                          std::to_string(kFormatVersion) +
                                          ". Use a newer program, or export the model again");
  }
  if (version < 1) {
    reject(root.at("format_version"), "must be 1, got " + std::to_string(version));
  }
}

std::int64_t size(JsonObject& object, const std::string& key, std::int64_t low = 1) {
  const std::int64_t value = object.integer(key);
  if (value < low || value > kMaxSize) {
    reject(object.at(key), "must be from " + std::to_string(low) + " to " +
                               std::to_string(kMaxSize) + ", got " + std::to_string(value));
  }
  return value;
}

double finite(JsonObject& object, const std::string& key) {
  const double value = object.number(key);
  if (!std::isfinite(value)) reject(object.at(key), "must be a finite number");
  return value;
}

// Names and paths; they are matched against patterns later, which must not be handed text of any
// length.
std::string name(JsonObject& object, const std::string& key) {
  std::string value = object.text(key);
  if (value.size() > kMaxNameBytes) {
    reject(object.at(key), "has " + std::to_string(value.size()) + " characters; the limit is " +
                               std::to_string(kMaxNameBytes));
  }
  return value;
}

std::string name_or_empty(JsonObject& object, const std::string& key) {
  return object.has(key) ? name(object, key) : std::string();
}

// A path that stays inside the bundle.
std::string file(JsonObject& object, const std::string& key) {
  std::string value = name(object, key);
  const std::filesystem::path path(value);
  const bool leaves = std::ranges::find(path, "..") != path.end();
  if (value.empty() || path.is_absolute() || leaves) {
    reject(object.at(key), "must be a path inside the bundle, got '" + value + "'");
  }
  return value;
}

using Visit = std::function<void(const Json&, const Origin&)>;

void for_each(JsonObject& object, const std::string& key, std::size_t min, const Visit& visit,
              std::size_t max = std::numeric_limits<std::size_t>::max()) {
  const Json& value = object.require(key);
  const Origin origin = object.at(key);
  if (!value.is_array()) reject(origin, "must be a list, got " + json_type_name(value));
  if (value.size() < min) reject(origin, "must not be empty");
  if (value.size() > max) {
    reject(origin,
           "has " + std::to_string(value.size()) + " entries; the limit is " + std::to_string(max));
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    visit(value[i], origin.at("[" + std::to_string(i) + "]"));
  }
}

std::string name_entry(const Json& value, const Origin& origin) {
  if (!value.is_string()) reject(origin, "must be text, got " + json_type_name(value));
  std::string text = value.get<std::string>();
  if (text.size() > kMaxNameBytes) reject(origin, "is too long");
  return text;
}

std::vector<std::string> names(JsonObject& object, const std::string& key, std::size_t min,
                               std::size_t max = std::numeric_limits<std::size_t>::max()) {
  std::vector<std::string> result;
  const auto add = [&](const Json& value, const Origin& origin) {
    result.push_back(name_entry(value, origin));
    if (std::ranges::count(result, result.back()) > 1) {
      reject(origin, "'" + result.back() + "' appears twice");
    }
  };
  for_each(object, key, min, add, max);
  return result;
}

// In ascending order, so that a long list needs no search for words given twice, and later no sort.
std::vector<std::string> ascending_words(JsonObject& object, const std::string& key) {
  std::vector<std::string> result;
  const auto add = [&](const Json& value, const Origin& origin) {
    std::string word = name_entry(value, origin);
    if (word.empty()) reject(origin, "must not be empty");
    if (!result.empty() && word <= result.back()) {
      reject(origin, "'" + word + "' must come before '" + result.back() +
                         "': words are in ascending order, each once");
    }
    result.push_back(std::move(word));
  };
  for_each(object, key, 1, add, kMaxWords);
  return result;
}

std::vector<double> numbers(JsonObject& object, const std::string& key) {
  std::vector<double> result;
  for_each(object, key, 1, [&](const Json& value, const Origin& origin) {
    if (!value.is_number()) reject(origin, "must be a number, got " + json_type_name(value));
    result.push_back(value.get<double>());
  });
  return result;
}

// Visits the entries of an object, whose keys are names.
void for_each_entry(
    JsonObject& object, const std::string& key,
    const std::function<void(const std::string&, const Json&, const Origin&)>& visit) {
  const Json& value = object.require(key);
  const Origin origin = object.at(key);
  if (!value.is_object()) reject(origin, "must be an object, got " + json_type_name(value));
  for (const auto& [entry, content] : value.items()) {
    if (entry.empty() || entry.size() > kMaxNameBytes) reject(origin, "has a key of bad length");
    visit(entry, content, origin.at(entry));
  }
}

template <typename Value>
Value choice(JsonObject& object, const std::string& key,
             const std::vector<std::pair<std::string, Value>>& table) {
  const std::string text = object.text(key);
  std::vector<std::string> known;
  for (const auto& [entry, value] : table) {
    if (entry == text) return value;
    known.push_back(entry);
  }
  reject(object.at(key), "unknown value '" + text + "'" + known_names_hint(text, known));
}

LatentGeometry read_latent(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  LatentGeometry latent;
  latent.channels = size(object, "channels");
  latent.spatial_stride = size(object, "spatial_stride");
  latent.temporal_stride = size(object, "temporal_stride");
  latent.leading_frames = size(object, "leading_frames", 0);
  for (const char* key : {"spatial_stride", "temporal_stride", "leading_frames"}) {
    if (object.integer(key) > kMaxStride) {
      reject(object.at(key), "must be at most " + std::to_string(kMaxStride));
    }
  }
  latent.mean = numbers(object, "mean");
  latent.std = numbers(object, "std");
  object.finish();
  for (const auto& [key, values] : {std::pair("mean", &latent.mean), {"std", &latent.std}}) {
    if (std::ssize(*values) != latent.channels) {
      reject(origin.at(key), "has " + std::to_string(values->size()) +
                                 " values; latent.channels is " + std::to_string(latent.channels));
    }
  }
  const auto bad = std::ranges::find_if(latent.std, [](double x) { return !(x > 0); });
  if (bad != latent.std.end()) reject(origin.at("std"), "must be > 0, got " + Json(*bad).dump());
  return latent;
}

StreamInfo read_stream(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  StreamInfo stream;
  stream.name = name(object, "name");
  stream.is_text = choice<bool>(object, "tokens", {{"latent", false}, {"text", true}});
  stream.dim = size(object, "dim");
  if (!stream.is_text || object.has("patch")) {
    const std::vector<double> patch = numbers(object, "patch");
    if (patch.size() != stream.patch.size()) reject(object.at("patch"), "must hold 3 integers");
    for (std::size_t i = 0; i < patch.size(); ++i) {
      if (!(patch[i] >= 1 && patch[i] <= 64) || std::floor(patch[i]) != patch[i]) {
        reject(object.at("patch"), "must hold integers from 1 to 64, got " + Json(patch[i]).dump());
      }
      stream.patch.at(i) = static_cast<std::int64_t>(patch[i]);
    }
  }
  object.finish();
  return stream;
}

std::vector<PromptAttribute> read_attributes(JsonObject& text, const std::string& key) {
  std::vector<PromptAttribute> result;
  const auto add = [&](const Json& value, const Origin& origin) {
    JsonObject object(value, origin);
    PromptAttribute attribute{name(object, "name"), names(object, "classes", 1, kMaxClasses)};
    object.finish();
    if (std::ranges::count(result, attribute.name, &PromptAttribute::name) > 0) {
      reject(origin.at("name"), "'" + attribute.name + "' appears twice");
    }
    result.push_back(std::move(attribute));
  };
  for_each(text, key, 1, add, kMaxAttributes);
  return result;
}

TextPipeline read_text(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  TextPipeline text;
  text.tokenizer = file(object, "tokenizer");
  text.cleaning = choice<Cleaning>(object, "cleaning",
                                   {{"none", Cleaning::kNone},
                                    {"whitespace", Cleaning::kWhitespace},
                                    {"lowercase", Cleaning::kLowercase}});
  text.max_tokens = size(object, "max_tokens");
  text.add_eos = object.boolean("add_eos");
  text.pad_id = size(object, "pad_id", 0);
  text.prompt_template = object.text("template");
  text.trim = object.boolean("trim");
  if (object.has("attributes")) text.attributes = read_attributes(object, "attributes");
  if (object.has("words")) text.words = ascending_words(object, "words");
  object.finish();
  const std::size_t hole = text.prompt_template.find("{}");
  if (hole == std::string::npos || text.prompt_template.find("{}", hole + 2) != std::string::npos) {
    reject(origin.at("template"), "must hold {} once, got '" + text.prompt_template + "'");
  }
  return text;
}

CodeCall read_call(JsonObject& object, const std::string& key) {
  JsonObject call(object.require(key), object.at(key));
  CodeCall result{name(call, "code"), names(call, "inputs", 1)};
  call.finish();
  return result;
}

Expert read_expert(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  Expert expert;
  expert.name = name(object, "name");
  expert.from = finite(object, "from");
  expert.to = finite(object, "to");
  expert.conditions = read_call(object, "conditions");
  expert.time = read_call(object, "time");
  expert.embed = read_call(object, "embed");
  JsonObject head(object.require("head"), object.at("head"));
  expert.head = name(head, "code");
  head.finish();
  for_each(object, "blocks", 1, [&](const Json& value, const Origin& place) {
    JsonObject block(value, place);
    expert.blocks.push_back({name(block, "kind"), name(block, "prefix")});
    block.finish();
  });
  object.finish();
  if (expert.from < expert.to) reject(origin, "'from' must be >= 'to'");
  return expert;
}

BlockKind read_kind(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  BlockKind kind;
  kind.code = name(object, "code");
  kind.stages = names(object, "stages", 1);
  kind.attention = name_or_empty(object, "attention");
  object.finish();
  return kind;
}

HashedFile read_hashed_file(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  HashedFile result{file(object, "file"), object.text("sha256")};
  object.finish();
  const bool is_hash = result.sha256.size() == 64 &&
                       result.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hash) reject(origin.at("sha256"), "must be 64 lower-case hexadecimal digits");
  return result;
}

ClipDefaults read_defaults(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  ClipDefaults defaults;
  defaults.size = {size(object, "width"), size(object, "height"), size(object, "num_frames")};
  defaults.fps = finite(object, "fps");
  defaults.steps = size(object, "steps");
  defaults.guidance_scale = finite(object, "guidance_scale");
  defaults.negative_prompt = object.text("negative_prompt");
  object.finish();
  if (!(defaults.fps > 0)) reject(origin.at("fps"), "must be > 0");
  return defaults;
}

// What runs: networks and their files.
void read_networks(JsonObject& root, Manifest& manifest) {
  for_each(root, "experts", 1, [&](const Json& value, const Origin& origin) {
    manifest.experts.push_back(read_expert(value, origin));
  });
  for_each_entry(root, "kinds",
                 [&](const std::string& key, const Json& value, const Origin& origin) {
                   manifest.kinds[key] = read_kind(value, origin);
                 });
  manifest.text_encoder = name_or_empty(root, "text_encoder");
  manifest.decoder = name_or_empty(root, "decoder");
  for_each_entry(root, "code",
                 [&](const std::string& key, const Json& value, const Origin& origin) {
                   if (!value.is_object())
                     reject(origin, "must be an object, got " + json_type_name(value));
                   for (const auto& [dtype, entry] : value.items()) {
                     manifest.code[key][dtype] = read_hashed_file(entry, origin.at(dtype));
                   }
                 });
  for_each(root, "weights", 0, [&](const Json& value, const Origin& origin) {
    manifest.weights.push_back(read_hashed_file(value, origin));
  });
}

// How it is used: scheduler, guidance, defaults, presets.
void read_use(JsonObject& root, Manifest& manifest) {
  manifest.scheduler = root.require("scheduler");
  JsonObject scheduler(manifest.scheduler, root.at("scheduler"));
  (void)name(scheduler, "_class_name");
  manifest.prediction_type = name(root, "prediction_type");
  manifest.guidance = choice<GuidanceKind>(root, "guidance",
                                           {{"cfg", GuidanceKind::kCfg},
                                            {"distilled", GuidanceKind::kDistilled},
                                            {"none", GuidanceKind::kNone}});
  manifest.defaults = read_defaults(root.require("defaults"), root.at("defaults"));
  manifest.cache_presets = Json::object();
  if (root.has("cache_presets")) {
    for_each_entry(root, "cache_presets",
                   [&](const std::string& key, const Json& value, const Origin& origin) {
                     JsonObject preset(value, origin);
                     JsonObject cache(preset.require("cache"), origin.at("cache"));
                     (void)name(cache, "policy");
                     (void)preset.find("measured");
                     preset.finish();
                     manifest.cache_presets[key] = value;
                   });
  }
  manifest.default_cache_preset = name_or_empty(root, "default_cache_preset");
  if (root.has("golden")) manifest.golden = names(root, "golden", 0);
}

}  // namespace

void parse_manifest(const Json& json, const Origin& origin, Manifest& manifest) {
  JsonObject root(json, origin);
  check_version(root);  // first: a newer manifest may differ in everything else
  manifest.name = name(root, "name");
  manifest.family = name(root, "family");
  manifest.description = root.text("description");
  manifest.licence = root.text("licence");
  if (root.has("attribution")) manifest.attribution = root.text("attribution");
  manifest.latent = read_latent(root.require("latent"), root.at("latent"));
  for_each(root, "streams", 1, [&](const Json& value, const Origin& place) {
    manifest.streams.push_back(read_stream(value, place));
  });
  if (root.has("text")) manifest.text = read_text(root.require("text"), root.at("text"));
  manifest.text_dim = size(root, "text_dim");
  manifest.text_tokens = size(root, "text_tokens");
  read_networks(root, manifest);
  read_use(root, manifest);
  root.finish();
}

}  // namespace bw
