// How the result of a case reads on a terminal: the second half of regress.h.
#include <array>
#include <cstdio>

#include "run/regress.h"

namespace bw {
namespace {

std::string value_text(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value.get<double>());
  return text.data();
}

std::string machine_text(const Json& machine) {
  const auto text = [&](const char* key) { return machine.at(key).get<std::string>(); };
  std::string line = "machine " + text("hash");
  if (!machine.contains("recorded")) return line;
  if (machine.at("recorded").get<bool>()) {
    return line += ", recorded " + text("recorded_at") + ": results must be equal";
  }
  line += " is not in the reference: tolerances apply. Compared with machine ";
  line += text("compared_with") + ", recorded " + text("recorded_at") + " (";
  return line += text("differences") + ")";
}

std::string outcome_text(const Json& result) {
  const auto failed = result.at("failed").get<std::int64_t>();
  const auto reference = result.at("reference").get<std::string>();
  if (result.at("updated").get<bool>()) return "recorded: " + reference;
  std::string text = std::to_string(failed) + " of " + std::to_string(result.at("checks").size());
  text += " checks failed";
  return text;
}

}  // namespace

std::string regress_table(const Json& result) {
  std::string table = result.at("name").get<std::string>() + ": ";
  table += result.at("clips").dump() + " clips, each without and with the cache\n";
  table += machine_text(result.at("machine")) + "\n";
  std::array<char, 256> line{};
  for (const Json& check : result.at("checks")) {
    const auto verdict = check.at("verdict").get<std::string>();
    std::string end = verdict == "failed" ? "FAILED" : verdict;
    if (verdict == "not checked") end += ": " + check.at("detail").get<std::string>();
    std::snprintf(line.data(), line.size(), "%-26s %14s  %-24s %s\n",
                  check.at("name").get<std::string>().c_str(),
                  value_text(check.at("value")).c_str(),
                  check.at("limit").get<std::string>().c_str(), end.c_str());
    table += line.data();
  }
  return table += outcome_text(result) + "\n";
}

std::vector<std::string> regress_failures(const Json& result) {
  std::vector<std::string> lines;
  for (const Json& check : result.at("checks")) {
    if (check.at("verdict") != "failed") continue;
    std::string line = result.at("name").get<std::string>() + ": ";
    line += check.at("name").get<std::string>() + ": is " + value_text(check.at("value"));
    line += ", must be " + check.at("limit").get<std::string>();
    const auto detail = check.at("detail").get<std::string>();
    if (!detail.empty()) line += "; " + detail;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace bw
