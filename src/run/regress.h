// The quality regression: runs the clips of a case without and with its cache on one loaded model
// and compares them with each other and with the recorded reference. Read regress_checks.h for what
// must hold.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "run/progress.h"
#include "run/regress_case.h"

namespace bw {

struct RegressAsk {
  Request flags;        // model, device, threads of the command line
  bool update = false;  // record instead of comparing
};

// One case: {"name", "case", "reference", "updated", "bundle", "machine", "clips", "checks": [{
// "name", "value", "limit", "verdict", "detail"}], "failed": how many}. Throws InputError before
// anything is loaded: no reference, or one that was made with another plan or bundle, each
// difference named. With `update` the checks that need no reference must hold, else nothing is
// written; what other machines recorded is kept when plan and bundle are unchanged.
[[nodiscard]] Json run_regress_case(const RegressCase& regress_case, const RegressAsk& ask,
                                    Observer& observer);

// The same as a table for a terminal.
[[nodiscard]] std::string regress_table(const Json& result);

// One line per failed check: "NAME: check: is VALUE, must be LIMIT; detail".
[[nodiscard]] std::vector<std::string> regress_failures(const Json& result);

}  // namespace bw
