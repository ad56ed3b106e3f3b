// Bytes inside the page itself, so that it is one file and needs no network.
#pragma once

#include <string>
#include <string_view>

namespace bw {

// data:<type>;base64,… (RFC 2397)
[[nodiscard]] std::string data_uri(std::string_view media_type, std::string_view bytes);

}  // namespace bw
