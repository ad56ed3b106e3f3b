#include "run/prompt_file.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace bw {
namespace {

constexpr std::size_t kLongest = 10000;

std::string prompt_of(const std::string& line, bool is_object, const Origin& origin) {
  if (line.size() > kLongest) {
    reject(origin, "is " + std::to_string(line.size()) + " bytes long; at most " +
                       std::to_string(kLongest) + " are allowed");
  }
  if (!is_valid_utf8(line)) reject(origin, "is no valid UTF-8");
  if (!is_object) return line;
  const Json json = parse_json(line, origin);
  return JsonObject(json, origin).text("prompt");
}

}  // namespace

std::vector<std::string> read_prompts(const std::filesystem::path& file) {
  std::istringstream lines(read_file(file));
  const bool is_object = file.extension() == ".jsonl";
  std::vector<std::string> prompts;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const Origin origin = Origin::file(file.string() + ": line " + std::to_string(number));
    prompts.push_back(prompt_of(line, is_object, origin));
  }
  if (prompts.empty()) {
    throw InputError(file.string() + ": holds no prompt; write one per line");
  }
  return prompts;
}

std::vector<std::int64_t> parse_seeds(const std::string& text, const std::string& flag) {
  std::vector<std::int64_t> seeds;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::int64_t seed = 0;
    const char* end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, seed);
    if (part.empty() || error != std::errc() || stop != end || seed < 0) {
      reject(Origin::flag(flag), "'" + part + "' is no seed; write whole numbers, e.g. 1,2,3");
    }
    if (std::find(seeds.begin(), seeds.end(), seed) != seeds.end()) {
      reject(Origin::flag(flag), "names the seed " + part + " twice");
    }
    seeds.push_back(seed);
  }
  if (seeds.empty()) reject(Origin::flag(flag), "names no seed; write e.g. 1,2,3");
  return seeds;
}

}  // namespace bw
