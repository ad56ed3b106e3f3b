#include "run/regress.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "base/junit.h"
#include "cli/command.h"
#include "cli/own_process.h"
#include "run/options.h"

namespace bw {
namespace {

struct RegressOptions {
  RunFlags flags;
  std::vector<std::string> cases;
  std::string junit;
  bool update = false;
};

// What says where a case runs; everything else is the case's.
bool concerns_machine(const OptionInfo& option) {
  return option.key == "model" || option.key == "threads" || option.key == "device";
}

std::vector<RegressCase> read_cases(const std::vector<std::string>& files) {
  std::vector<RegressCase> cases;
  for (const std::string& file : files) {
    cases.push_back(read_regress_case(file));
    const std::string& name = cases.back().name;
    const auto first = std::ranges::find(cases, name, &RegressCase::name);
    if (first + 1 != cases.end()) {
      std::string message = file;
      message.append(": name: '").append(name).append("' is the name of ");
      message.append(first->file.string()).append(" too; every case needs its own");
      throw InputError(message);
    }
  }
  return cases;
}

// A case in a process of its own, because the memory of the process is one of the things checked.
// Its failures and errors are on stderr already.
Json run_alone(const RegressCase& one, const RegressOptions& options, const TalkOptions& talk) {
  std::vector<std::string> arguments = {"regress", one.file.string(), "--json", "--progress",
                                        talk.progress};
  if (options.update) arguments.emplace_back("--update");
  const Request flags = options.flags.request();
  for (const OptionInfo& option : bw::options()) {
    const Request::Entry* entry = flags.find(std::string(option.key));
    if (entry == nullptr) continue;
    arguments.push_back(main_flag(option));
    arguments.push_back(entry->value.is_string() ? entry->value.get<std::string>()
                                                 : entry->value.dump());
  }
  const ProcessResult process = run_own_process(arguments);
  const auto code = static_cast<ExitCode>(process.exit_code);
  if (code != ExitCode::kDone && code != ExitCode::kGate) {
    throw Error(code, one.file.string() + ": ended with exit code " +
                          std::to_string(process.exit_code) + "; no later case was run");
  }
  return parse_json(process.output, Origin::file(one.file.string())).at("cases").at(0);
}

std::string junit_of(const Json& results) {
  std::vector<JunitSuite> suites;
  for (const Json& result : results) {
    JunitSuite suite{"bwcache-gen regress " + result.at("name").get<std::string>(), {}};
    std::vector<std::string> failures = regress_failures(result);
    auto failure = failures.begin();
    for (const Json& check : result.at("checks")) {
      JunitCase& row = suite.cases.emplace_back();
      row.group = result.at("name").get<std::string>();
      row.name = check.at("name").get<std::string>();
      if (check.at("verdict") == "failed") row.failure = *failure++;
      if (check.at("verdict") == "not checked") row.skipped = check.at("detail").get<std::string>();
    }
    suites.push_back(std::move(suite));
  }
  return junit_document(suites);
}

void print_results(const Json& results, const RegressOptions& options, bool as_json) {
  if (!options.junit.empty()) write_file(options.junit, junit_of(results));
  if (as_json) {
    const Json document = {
        {"format_version", 1}, {"kind", "bwcache-gen regress"}, {"cases", results}};
    std::cout << document.dump(1) << '\n';
    return;
  }
  for (const Json& result : results) {
    if (&result != &results.front()) std::cout << '\n';
    std::cout << regress_table(result);
  }
}

[[noreturn]] void fail(const Json& results, bool update) {
  std::int64_t checks = 0;
  std::int64_t failed = 0;
  for (const Json& result : results) {
    checks += static_cast<std::int64_t>(result.at("checks").size());
    failed += result.at("failed").get<std::int64_t>();
  }
  std::string message = "regress: " + std::to_string(failed) + " of " + std::to_string(checks);
  message += " checks failed";
  if (update) message += "; of a case with a failed check nothing was recorded";
  throw GateError(message);
}

void run_regress(const RegressOptions& options, const TalkOptions& talk) {
  const std::vector<RegressCase> cases = read_cases(options.cases);
  if (!options.junit.empty()) check_writable(options.junit);
  Json results = Json::array();
  if (cases.size() == 1) {
    const auto observer = make_observer(talk.progress);
    const RegressAsk ask{options.flags.request(), options.update};
    results.push_back(run_regress_case(cases.front(), ask, *observer));
    for (const std::string& line : regress_failures(results.front())) std::cerr << line << '\n';
  } else {
    for (const RegressCase& one : cases) results.push_back(run_alone(one, options, talk));
  }
  print_results(results, options, talk.json);
  const bool failed = std::ranges::any_of(
      results, [](const Json& result) { return result.at("failed").get<std::int64_t>() > 0; });
  if (failed) fail(results, options.update);
}

}  // namespace

std::function<void()> add_regress_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<RegressOptions>();
  app.add_option("case", options->cases, "case files, see docs/ci.md")->required();
  options->flags.add_to(app, concerns_machine);
  app.add_flag("--update", options->update,
               "record this machine's results as the reference instead of comparing with it")
      ->group("Regression");
  app.add_option("--junit", options->junit, "write the checks as JUnit XML")->group("Regression");
  return [options, &talk] { run_regress(*options, talk); };
}

}  // namespace bw
