// Decompresses zlib streams (RFC 1950, RFC 1951): just enough to read PNG files without a further
// library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bw {

// Throws InputError, beginning with `name`, on a damaged stream and when more than max_size bytes
// come out.
[[nodiscard]] std::string inflate_zlib(std::string_view data, std::size_t max_size,
                                       const std::string& name);

// The checksum that ends a zlib stream (RFC 1950, §9).
[[nodiscard]] std::uint32_t adler32(std::string_view bytes);

}  // namespace bw
