// Where a value came from, so that an error can name it and choose the exit code: a flag's value is
// a usage error (2), a value inside a config file or a bundle is bad input (3).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bw {

struct Origin {
  enum class Kind { kFlag, kFile };
  Kind kind = Kind::kFile;
  std::string name;  // "--steps", "model.json: latent.channels", "--cache bwcache: threshold"

  static Origin flag(std::string name) { return {Kind::kFlag, std::move(name)}; }
  static Origin file(std::string name) { return {Kind::kFile, std::move(name)}; }
  // The same place, one level deeper: "a" -> "a.b" (files) or "a: b" (flags).
  [[nodiscard]] Origin at(std::string_view key) const;
};

// Throws UsageError or InputError: "<name>: <message>".
[[noreturn]] void reject(const Origin& origin, const std::string& message);

// The candidate with the smallest edit distance, or "" when none is near enough to be a typo.
[[nodiscard]] std::string nearest(std::string_view name, std::span<const std::string> candidates);

// "; did you mean X?" and the list of what is known, for an unknown name.
[[nodiscard]] std::string known_names_hint(std::string_view name,
                                           std::span<const std::string> candidates);

}  // namespace bw
