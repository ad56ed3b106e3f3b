// Turns the JSON of a manifest into a Manifest, field by field. Read manifest.h for the result.
#pragma once

#include "base/json.h"
#include "bundle/manifest.h"

namespace bw {

// Types, required and unknown keys, plain limits. What fields say about each other is checked by
// check_references.
void parse_manifest(const Json& json, const Origin& origin, Manifest& manifest);

// Names that must exist, roles that a function may ask for, files that must be there, defaults that
// the model can make.
void check_references(const Manifest& manifest, const Origin& origin);

}  // namespace bw
