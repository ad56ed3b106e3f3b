#include "run/regress_case.h"

#include <algorithm>

#include "base/error.h"
#include "run/options.h"
#include "run/resolve.h"

namespace bw {
namespace {

// Why a key of a config has no place in the plan of a case; empty: it has one.
std::string why_not(const OptionInfo& option) {
  const std::string_view key = option.key;
  if (key == "prompt") return "belongs into \"prompts\" of the case";
  if (key == "seed") return "belongs into \"seeds\" of the case";
  if (key == "cache" || key == "cache_threshold") return "belongs into \"cache\" of the case";
  if (key == "fail_if_inert") return "always applies here; leave it out";
  if (key == "cache_shadow") return "would compute what is reused; leave it out";
  if (key == "cache_replay") return "would repeat old decisions; leave it out";
  if (key == "prompt_embeds" || key == "noise") {
    return "a reference does not hold what this file does; leave it out";
  }
  if (option.group == OptionGroup::kOutput) return "no video is written here; leave it out";
  return "";
}

void read_plan(const Json& plan, const Origin& origin, Request& request) {
  const JsonObject object(plan, origin);
  for (const OptionInfo& option : options()) {
    const std::string key(option.key);
    const std::string reason = object.has(key) ? why_not(option) : "";
    if (!reason.empty()) reject(origin.at(key), reason);
  }
  request.add_config(plan, origin);
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  result += text;
  return result += '\'';
}

// A list with an entry, none of them twice.
void check_list(const Json& list, const Origin& origin) {
  if (!list.is_array()) reject(origin, "must be a list, got " + json_type_name(list));
  if (list.empty()) reject(origin, "is empty; at least one is needed");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(list.begin(), end, list[i]) != end) {
      reject(entry_of(origin, i), list[i].dump() + " appears twice");
    }
  }
}

// Every entry, checked like the option of that name.
template <typename T>
std::vector<T> read_list(const Json& list, const Origin& origin, const std::string& option) {
  check_list(list, origin);
  std::vector<T> values;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Origin place = entry_of(origin, i);
    if (option == "prompt" && !list[i].is_string()) {
      reject(place, "must be text, got " + json_type_name(list[i]));
    }
    values.push_back(check_option(*find_option(option), list[i], place).get<T>());
    if constexpr (std::is_integral_v<T>) {
      if (values.back() < 0) reject(place, "must be at least 0: a drawn seed repeats nothing");
    }
  }
  return values;
}

std::filesystem::path reference_path(const std::filesystem::path& file, const std::string& name,
                                     const Origin& origin) {
  std::filesystem::path reference = file.parent_path() / name;
  if (reference.extension() != ".json") reject(origin, "must end in .json, got " + quoted(name));
  if (reference.lexically_normal() == file.lexically_normal()) {
    reject(origin, "is the case itself; a name like NAME.reference.json is meant");
  }
  return reference;
}

}  // namespace

Origin entry_of(const Origin& list, std::size_t index) {
  std::string key = "[";
  key += std::to_string(index);
  key += ']';
  return list.at(key);
}

void RegressTolerance::visit(ParamVisitor& visitor) {
  visitor.number({"computed_fraction", "difference of the share of blocks computed"},
                 computed_fraction, {.low = 0, .high = 1});
  visitor.number({"memory", "relative difference of the bytes held"}, memory,
                 {.low = 0, .high = 1});
  visitor.number({"cosine", "highest cosine distance of latents"}, cosine, {.low = 0, .high = 1});
  visitor.number({"psnr", "lowest PSNR of latents, in dB"}, psnr, {.low = 0, .high = 200});
}

RegressCase read_regress_case(const std::filesystem::path& file) {
  const Origin origin = Origin::file(file.string() + ": ");
  const Json json = read_json_file(file);
  JsonObject object(json, origin);
  RegressCase result;
  result.file = file;
  result.name = object.text("name");
  if (result.name.empty()) reject(object.at("name"), "is empty");
  read_plan(object.require("plan"), object.at("plan"), result.request);
  result.request.set("cache", object.require("cache"), object.at("cache"));
  result.prompts =
      read_list<std::string>(object.require("prompts"), object.at("prompts"), "prompt");
  result.seeds = read_list<std::int64_t>(object.require("seeds"), object.at("seeds"), "seed");
  result.gates = gates_from_json(object.require("gates"), object.at("gates"));
  if (const Json* tolerance = object.find("tolerance")) {
    read_params(result.tolerance, *tolerance, object.at("tolerance"));
  }
  result.reference = reference_path(file, object.text("reference"), object.at("reference"));
  object.finish();
  result.request.set("prompt", result.prompts.front(), object.at("prompts").at("[0]"));
  result.request.set("seed", result.seeds.front(), object.at("seeds").at("[0]"));
  return result;
}

RegressPlans resolve_regress(const RegressCase& regress_case, const Request& flags,
                             const Manifest& manifest) {
  Request request = regress_case.request;
  request.adopt(flags);
  RegressPlans plans;
  plans.cached = resolve(request, manifest);
  const CachePlan& cache = plans.cached.clip.cache;
  if (cache.replay) reject(request.origin("cache").at("replay"), "would repeat old decisions");
  if (cache.policy == "none") {
    reject(request.origin("cache"), "is 'none', so there is nothing to compare; name a policy");
  }
  request.set("cache", "none", request.origin("cache"));
  plans.uncached = resolve(request, manifest);
  return plans;
}

}  // namespace bw
