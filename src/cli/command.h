// What every subcommand looks like. commands.inc is the table; each row is one file of this folder.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "run/request.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace bw {

struct OptionInfo;

// Options that say how the program talks, shared by all subcommands.
struct TalkOptions {
  bool json = false;              // results as JSON on stdout
  std::string progress = "auto";  // auto | bar | plain | json | none
};

struct CommandInfo {
  std::string_view name;
  std::string_view summary;
  // Declares the options and returns what to do once they are parsed; the closure owns their
  // values. Results go to stdout.
  std::function<void()> (*add)(CLI::App& app, TalkOptions& talk) = nullptr;
};

[[nodiscard]] std::span<const CommandInfo> commands();

// The options of a run (run/options.h) as flags, with --config, --from and --size.
class RunFlags {
 public:
  // All options of a run, or only those for which `wanted` holds (then without --config and
  // --from).
  void add_to(CLI::App& app, bool (*wanted)(const OptionInfo&) = nullptr);
  // Weakest first: --from, --config, flags. --from brings everything but paths.
  [[nodiscard]] Request request() const;
  // The hash of the bundle that made the run named by --from.
  [[nodiscard]] std::optional<std::string> recorded_bundle() const;

 private:
  std::map<std::string, std::string> values_;
  std::map<std::string, bool> switches_;
  std::map<std::string, const CLI::Option*> given_;
  std::string config_;
  std::string from_;
  std::string size_;
};

}  // namespace bw
