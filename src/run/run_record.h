// What an earlier run left behind: a report (.json) or a video with metadata. Used by --from and
// `inspect`.
#pragma once

#include <filesystem>

#include "base/json.h"
#include "run/request.h"

namespace bw {

struct RunRecord {
  Json plan;  // as in plan_to_json
  std::string bundle_hash;
  Json whole;  // the report or the metadata
};

// Throws InputError when the file is neither a report nor a video of this program.
[[nodiscard]] RunRecord read_run_record(const std::filesystem::path& file);

// Sets everything the plan says but paths, under the origin "--from <file>".
void add_recorded_plan(Request& request, const RunRecord& record,
                       const std::filesystem::path& file);

}  // namespace bw
