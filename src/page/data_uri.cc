#include "page/data_uri.h"

#include <openssl/evp.h>

namespace bw {

std::string data_uri(std::string_view media_type, std::string_view bytes) {
  std::string out = "data:";
  out.append(media_type).append(";base64,");
  // EVP_EncodeBlock counts in int; whole groups of three bytes join without padding.
  constexpr std::size_t kPiece = std::size_t{3} << 20;
  std::string piece;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPiece) {
    const std::string_view part = bytes.substr(begin, kPiece);
    piece.resize((part.size() + 2) / 3 * 4 + 1);  // and a terminating zero
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(piece.data()),
                                       reinterpret_cast<const unsigned char*>(part.data()),
                                       static_cast<int>(part.size()));
    out.append(piece, 0, static_cast<std::size_t>(length));
  }
  return out;
}

}  // namespace bw
