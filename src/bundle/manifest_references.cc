// What the fields of a manifest say about each other and about the files beside it.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "bundle/manifest_reader.h"

namespace bw {
namespace {

class References {
 public:
  References(const Manifest& manifest, const Origin& origin)
      : manifest_(manifest), origin_(origin) {
    for (const auto& [name, files] : manifest.code) code_.push_back(name);
    for (const auto& [name, kind] : manifest.kinds) kinds_.push_back(name);
  }

  void check() const {
    for (const auto& [name, kind] : manifest_.kinds) check_kind(name, kind);
    std::set<std::string> names;
    for (std::size_t i = 0; i < manifest_.experts.size(); ++i) {
      const Origin origin = origin_.at("experts").at("[" + std::to_string(i) + "]");
      check_expert(manifest_.experts[i], origin);
      if (!names.insert(manifest_.experts[i].name).second) {
        reject(origin.at("name"), "'" + manifest_.experts[i].name + "' appears twice");
      }
    }
    check_text();
    if (!manifest_.decoder.empty()) check_code(manifest_.decoder, origin_.at("decoder"));
    check_guidance();
    check_preset();
    check_defaults();
    check_files();
  }

 private:
  void check_code(const std::string& name, const Origin& origin) const {
    if (manifest_.code.contains(name)) return;
    reject(origin, "'" + name + "' is not in 'code'" + known_names_hint(name, code_));
  }

  void check_kind(const std::string& name, const BlockKind& kind) const {
    const Origin origin = origin_.at("kinds").at(name);
    check_code(kind.code, origin.at("code"));
    const bool is_stage = std::ranges::find(kind.stages, kind.attention) != kind.stages.end();
    if (!kind.attention.empty() && !is_stage) {
      reject(origin.at("attention"), "'" + kind.attention + "' is not in 'stages'" +
                                         known_names_hint(kind.attention, kind.stages));
    }
  }

  void check_roles(const CodeCall& call, const Origin& origin,
                   const std::vector<std::string>& roles) const {
    check_code(call.code, origin.at("code"));
    for (const std::string& role : call.inputs) {
      if (std::ranges::find(roles, role) != roles.end()) continue;
      reject(origin.at("inputs"),
             "the role '" + role + "' cannot be given here" + known_names_hint(role, roles));
    }
  }

  void check_expert(const Expert& expert, const Origin& origin) const {
    // What is computed once per branch may not depend on the step, and the other way round.
    check_roles(expert.conditions, origin.at("conditions"), {"text"});
    check_roles(expert.time, origin.at("time"), {"t", "guidance"});
    check_roles(expert.embed, origin.at("embed"), {"latent", "t", "text", "guidance"});
    check_code(expert.head, origin.at("head").at("code"));
    for (std::size_t i = 0; i < expert.blocks.size(); ++i) {
      const std::string& kind = expert.blocks[i].kind;
      if (manifest_.kinds.contains(kind)) continue;
      reject(origin.at("blocks").at("[" + std::to_string(i) + "]").at("kind"),
             "'" + kind + "' is not in 'kinds'" + known_names_hint(kind, kinds_));
    }
  }

  void check_text() const {
    if (manifest_.text_encoder.empty() != !manifest_.text) {
      reject(origin_.at(manifest_.text ? "text_encoder" : "text"),
             "is missing: 'text' and 'text_encoder' are given together or not at all");
    }
    if (!manifest_.text_encoder.empty()) {
      check_code(manifest_.text_encoder, origin_.at("text_encoder"));
    }
  }

  void check_guidance() const {
    const auto takes_guidance = [](const Expert& expert) {
      return std::ranges::count(expert.time.inputs, "guidance") +
                 std::ranges::count(expert.embed.inputs, "guidance") >
             0;
    };
    const bool takes = std::ranges::any_of(manifest_.experts, takes_guidance);
    if (takes != (manifest_.guidance == GuidanceKind::kDistilled)) {
      reject(origin_.at("guidance"),
             takes ? "must be 'distilled': an expert takes the role 'guidance'"
                   : "is 'distilled', but no expert takes the role 'guidance'");
    }
  }

  void check_preset() const {
    const std::string& name = manifest_.default_cache_preset;
    if (name.empty() || manifest_.cache_presets.contains(name)) return;
    std::vector<std::string> known;
    for (const auto& [key, value] : manifest_.cache_presets.items()) known.push_back(key);
    reject(origin_.at("default_cache_preset"),
           "'" + name + "' is not in 'cache_presets'" + known_names_hint(name, known));
  }

  void check_defaults() const {
    const Origin defaults = origin_.at("defaults");
    (void)latent_shape(manifest_, manifest_.defaults.size,
                       {defaults.at("width"), defaults.at("height"), defaults.at("num_frames")});
    if (runnable_dtypes(manifest_).empty()) {
      reject(origin_.at("code"), "no dtype is given for every archive");
    }
  }

  void check_file(const std::string& file, const Origin& origin) const {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(manifest_.directory / file, ignored)) return;
    reject(origin, "the file '" + file + "' is missing in " + manifest_.directory.string() +
                       "; copy or export the bundle again");
  }

  void check_files() const {
    if (manifest_.text) check_file(manifest_.text->tokenizer, origin_.at("text").at("tokenizer"));
    for (const auto& [name, files] : manifest_.code) {
      for (const auto& [dtype, file] : files) {
        check_file(file.file, origin_.at("code").at(name).at(dtype).at("file"));
      }
    }
    for (std::size_t i = 0; i < manifest_.weights.size(); ++i) {
      const Origin origin = origin_.at("weights").at("[" + std::to_string(i) + "]").at("file");
      check_file(manifest_.weights[i].file, origin);
    }
  }

  const Manifest& manifest_;
  const Origin& origin_;
  std::vector<std::string> code_;
  std::vector<std::string> kinds_;
};

}  // namespace

void check_references(const Manifest& manifest, const Origin& origin) {
  References(manifest, origin).check();
}

}  // namespace bw
