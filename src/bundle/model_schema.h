// The JSON schema of model.json, compiled in from configs/schema/model.schema.json.
// Read manifest.h for the reader that gives its fields meaning.
#pragma once

#include <string_view>

#include "base/json.h"

namespace bw {

[[nodiscard]] std::string_view model_schema_text();

// Throws InputError naming the path of the first violation ("model.json: latent.channels: …").
void check_model_schema(const Json& manifest, const Origin& origin);

}  // namespace bw
