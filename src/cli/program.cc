#include "cli/program.h"

#include <c10/util/Exception.h>

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

// "-M x decode …": the flags would belong to the default command and be lost.
void check_flag_order(const CLI::App& app) {
  if (app.get_subcommands().empty()) return;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() > 0) {
      throw UsageError(option->get_name() + ": stands before '" +
                       app.get_subcommands().front()->get_name() + "'; flags go after the command");
    }
  }
}

std::string suggest(const std::string& argument, const CLI::App& app) {
  std::vector<std::string> known;
  if (argument.starts_with("-")) {
    const auto chosen = app.get_subcommands();
    for (const CLI::App* owner : {&app, chosen.empty() ? &app : chosen.front()}) {
      for (const CLI::Option* option : owner->get_options()) {
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
      }
    }
  } else {
    for (const CommandInfo& command : commands()) known.emplace_back(command.name);
  }
  const std::string near = nearest(argument.substr(0, argument.find('=')), known);
  return near.empty() ? "; --help lists commands and flags" : "; did you mean '" + near + "'?";
}

// CLI11's own message, with the nearest flag when one was mistyped.
[[noreturn]] void rethrow_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty()) {
    message = "unknown argument '" + extras.front() + "'" + suggest(extras.front(), app);
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
  check_flag_order(app);
  install_signal_handlers();
  try {
    chosen();
  } catch (const c10::OutOfMemoryError& error) {  // a device's; how much of what is in its message
    throw ResourceError(error.what_without_backtrace());
  }
  return 0;
}

}  // namespace bw
