#include <CLI/CLI.hpp>
#include <charconv>

#include "cli/command.h"
#include "run/options.h"
#include "run/run_record.h"

namespace bw {
namespace {

// "832x480" -> {"832", "480"}
std::pair<std::string, std::string> split_size(const std::string& size) {
  const std::size_t x = size.find_first_of("xX*");
  const Origin origin = Origin::flag("--size");
  if (x == std::string::npos)
    reject(origin, "must be WIDTHxHEIGHT, e.g. 832x480, got '" + size + "'");
  return {size.substr(0, x), size.substr(x + 1)};
}

}  // namespace

void RunFlags::add_to(CLI::App& app, bool (*wanted)(const OptionInfo&)) {
  for (const OptionInfo& option : options()) {
    if (wanted != nullptr && !wanted(option)) continue;
    const std::string key(option.key);
    const std::string meaning(option.meaning);
    const std::string flags(option.flags);
    CLI::Option* added = option.kind == OptionKind::kFlag
                             ? app.add_flag(flags, switches_[key], meaning)
                             : app.add_option(flags, values_[key], meaning);
    added->group(std::string(group_title(option.group)));
    given_[key] = added;
    if (option.kind == OptionKind::kChoice) {
      std::string names;
      for (const std::string& choice : option.choices) names += (names.empty() ? "" : "|") + choice;
      added->type_name(names);
    }
  }
  if (wanted != nullptr) return;
  app.add_option("--size", size_, "WIDTHxHEIGHT in one")->group("Clip");
  app.add_option("-c,--config,--config-json,--config_json", config_,
                 "JSON file with the same names (num_frames, cache …); flags win over it")
      ->group("Prompt");
  app.add_option("--from", from_,
                 "take the plan of an earlier run's video or report; flags win over it")
      ->group("Prompt");
}

Request RunFlags::request() const {
  Request request;
  if (!from_.empty()) add_recorded_plan(request, read_run_record(from_), from_);
  if (!config_.empty()) request.add_config(read_json_file(config_), Origin::file(config_ + ": "));
  if (!size_.empty()) {
    const auto [width, height] = split_size(size_);
    request.set("width", width, Origin::flag("--size"));
    request.set("height", height, Origin::flag("--size"));
  }
  for (const auto& [key, option] : given_) {
    if (option->count() == 0) continue;
    const auto value = values_.find(key);
    const Json json = value == values_.end() ? Json(switches_.at(key)) : Json(value->second);
    request.set(key, json, Origin::flag(main_flag(*find_option(key))));
  }
  return request;
}

std::optional<std::string> RunFlags::recorded_bundle() const {
  if (from_.empty()) return std::nullopt;
  return read_run_record(from_).bundle_hash;
}

}  // namespace bw
