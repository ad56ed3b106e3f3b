#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <array>

#include "base/error.h"
#include "cli/command.h"
#include "run/progress.h"

namespace bw {

#define BW_COMMAND(name, summary) \
  std::function<void()> add_##name##_command(CLI::App&, TalkOptions&);
#include "cli/commands.inc"
#undef BW_COMMAND

std::span<const CommandInfo> commands() {
#define BW_COMMAND(name, summary) CommandInfo{#name, summary, add_##name##_command},
  static const std::array kCommands = {
#include "cli/commands.inc"
  };
#undef BW_COMMAND
  return kCommands;
}

namespace {

void add_talk_options(CLI::App& app, TalkOptions& talk) {
  app.add_flag("--json", talk.json, "print results as JSON on stdout")->group("Talk");
  app.add_option("--progress", talk.progress, "auto|bar|plain|json|none; progress goes to stderr")
      ->check(CLI::IsMember({"auto", "bar", "plain", "json", "none"}))
      ->group("Talk");
}

// CLI11's own message, with the nearest flag when one was mistyped.
[[noreturn]] void rethrow_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty()) {
    std::vector<std::string> known;
    for (const CLI::App* owner :
         {&app, app.get_subcommands().empty() ? &app : app.get_subcommands().front()}) {
      for (const CLI::Option* option : owner->get_options()) {
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
      }
    }
    const std::string flag = extras.front().substr(0, extras.front().find('='));
    const std::string near = nearest(flag, known);
    message = "unknown argument '" + extras.front() + "'" +
              (near.empty() ? "; --help lists the flags" : "; did you mean '" + near + "'?");
  }
  throw UsageError(message);
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  CLI::App app("Video from a prompt, with feature caching between transformer blocks.",
               "bwcache-gen");
  app.set_version_flag("--version", std::string("bwcache-gen ") + BW_VERSION);
  app.get_formatter()->column_width(42);
  app.require_subcommand(0, 1);
  TalkOptions talk;
  std::function<void()> chosen;
  for (const CommandInfo& command : commands()) {
    const bool is_default = &command == &commands().front();
    // The default's options are understood with and without its name.
    if (is_default) {
      const std::function<void()> action = command.add(app, talk);
      add_talk_options(app, talk);
      chosen = action;
    }
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    const std::function<void()> action = command.add(*sub, talk);
    add_talk_options(*sub, talk);
    sub->callback([&chosen, action] { chosen = action; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    rethrow_usage(app, error);
  }
  install_signal_handlers();
  chosen();
  return 0;
}

}  // namespace bw
