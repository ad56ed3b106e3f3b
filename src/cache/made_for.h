// What a calibrated table was measured with, and whether a run is like that. Read
// calibrated_table.h for the tables and policy_table.h for RunShape::identity.
#pragma once

#include <string>
#include <string_view>

#include "base/origin.h"
#include "cache/policy_table.h"

namespace bw {

inline constexpr std::string_view kMadeForForm = "key=value;key=value …, or empty";

// "model=0f3a…;steps=30", in the order of the map.
[[nodiscard]] std::string made_for_text(const RunIdentity& identity);

// Rejects a text that is not in that form.
void check_made_for_form(std::string_view text, const Origin& origin);

// Rejects a table that was measured with something else than `identity`, naming every difference
// with both values. What the text leaves out is not compared; an empty text or an empty identity
// compares nothing.
void check_made_for(std::string_view text, const RunIdentity& identity, const Origin& origin);

}  // namespace bw
