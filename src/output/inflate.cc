#include "output/inflate.h"

#include <array>
#include <span>
#include <vector>

#include "base/error.h"

namespace bw {
namespace {

constexpr int kMaxCodeLength = 15;

// RFC 1951, §3.2.5: lengths and distances of the symbols, and how many extra bits follow.
constexpr std::array<int, 29> kLengthBase = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                             15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                             67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<int, 29> kLengthExtra = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                              2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<int, 30> kDistanceBase = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
// §3.2.7: the order in which the lengths of the code-length code are sent.
constexpr std::array<std::size_t, 19> kLengthOrder = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                      11, 4,  12, 3, 13, 2, 14, 1, 15};

// A canonical Huffman code (§3.2.2): how many codes have each length, and the symbols in the order
// of their codes.
struct HuffmanCode {
  std::array<int, kMaxCodeLength + 1> counts{};
  std::vector<int> symbols;
};

class Inflater {
 public:
  Inflater(std::string_view data, std::size_t max_size, const std::string& name)
      : data_(data), max_size_(max_size), name_(name) {}

  std::string run() {
    bool is_last = false;
    while (!is_last) {
      is_last = bits(1) == 1;
      switch (bits(2)) {
        case 0:
          stored_block();
          break;
        case 1:
          fixed_block();
          break;
        case 2:
          dynamic_block();
          break;
        default:
          fail("unknown block type");
      }
    }
    return std::move(out_);
  }

  // Bytes read so far, the last one perhaps in part.
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(name_ + ": damaged compressed data: " + what);
  }

  int bits(int count) {  // least significant first
    while (held_ < count) {
      if (position_ == data_.size()) fail("it ends too early");
      hold_ |= static_cast<std::uint32_t>(static_cast<unsigned char>(data_[position_++])) << held_;
      held_ += 8;
    }
    const auto value = static_cast<int>(hold_ & ((1U << count) - 1));
    hold_ >>= count;
    held_ -= count;
    return value;
  }

  void reserve(std::size_t more) const {
    if (out_.size() + more > max_size_) fail("more pixels than the picture has");
  }

  void stored_block() {
    hold_ = 0;  // blocks of bytes begin at a byte
    held_ = 0;
    const int length = bits(16);
    const int complement = bits(16);
    if ((length ^ 0xFFFF) != complement) fail("length of a stored block");
    const auto size = static_cast<std::size_t>(length);
    if (data_.size() - position_ < size) fail("it ends too early");
    reserve(size);
    out_.append(data_.substr(position_, size));
    position_ += size;
  }

  void fixed_block() {  // §3.2.6
    std::array<int, 288> lengths{};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    std::array<int, 30> distances{};
    distances.fill(5);
    coded_block(make_code(lengths), make_code(distances));
  }

  void dynamic_block() {  // §3.2.7
    const auto num_lengths = static_cast<std::size_t>(bits(5)) + 257;
    const auto num_distances = static_cast<std::size_t>(bits(5)) + 1;
    const auto num_codes = static_cast<std::size_t>(bits(4)) + 4;
    if (num_lengths > 286 || num_distances > 30) fail("too many symbols");
    std::array<int, 19> code_lengths{};
    for (std::size_t i = 0; i < num_codes; ++i) code_lengths[kLengthOrder[i]] = bits(3);
    const HuffmanCode code = make_code(code_lengths);
    std::vector<int> lengths;
    while (lengths.size() < num_lengths + num_distances) {
      const int symbol = decode(code);
      if (symbol < 16) {
        lengths.push_back(symbol);
        continue;
      }
      if (symbol == 16 && lengths.empty()) fail("a repeat without a first length");
      const int value = symbol == 16 ? lengths.back() : 0;
      const int repeat = symbol == 16 ? 3 + bits(2) : symbol == 17 ? 3 + bits(3) : 11 + bits(7);
      lengths.insert(lengths.end(), static_cast<std::size_t>(repeat), value);
    }
    if (lengths.size() > num_lengths + num_distances) fail("too many code lengths");
    const std::span<const int> all(lengths);
    coded_block(make_code(all.first(num_lengths)), make_code(all.subspan(num_lengths)));
  }

  void coded_block(const HuffmanCode& literals, const HuffmanCode& distances) {
    for (;;) {
      const int symbol = decode(literals);
      if (symbol == 256) return;
      if (symbol < 256) {
        reserve(1);
        out_.push_back(static_cast<char>(symbol));
        continue;
      }
      const auto row = static_cast<std::size_t>(symbol) - 257;
      if (row >= kLengthBase.size()) fail("unknown length");
      const int length = kLengthBase[row] + bits(kLengthExtra[row]);
      const auto column = static_cast<std::size_t>(decode(distances));
      if (column >= kDistanceBase.size()) fail("unknown distance");
      const int extra = column < 2 ? 0 : static_cast<int>(column) / 2 - 1;
      const auto distance = static_cast<std::size_t>(kDistanceBase[column] + bits(extra));
      if (distance > out_.size()) fail("a distance before the beginning");
      reserve(static_cast<std::size_t>(length));
      for (int i = 0; i < length; ++i) out_.push_back(out_[out_.size() - distance]);
    }
  }

  HuffmanCode make_code(std::span<const int> lengths) const {
    HuffmanCode code;
    for (const int length : lengths) ++code.counts[static_cast<std::size_t>(length)];
    code.counts[0] = 0;
    int left = 1;  // unassigned codes of the present length
    for (std::size_t length = 1; length < code.counts.size(); ++length) {
      left = left * 2 - code.counts[length];
      if (left < 0) fail("over-subscribed code");
    }
    for (int length = 1; length <= kMaxCodeLength; ++length) {
      for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        if (lengths[symbol] == length) code.symbols.push_back(static_cast<int>(symbol));
      }
    }
    return code;
  }

  int decode(const HuffmanCode& code) {
    int value = 0;
    int first = 0;
    int index = 0;
    for (std::size_t length = 1; length < code.counts.size(); ++length) {
      value |= bits(1);
      const int count = code.counts[length];
      if (value - first < count)
        return code.symbols[static_cast<std::size_t>(index + value - first)];
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    fail("unknown code");
  }

  std::string_view data_;
  std::size_t max_size_;
  const std::string& name_;
  std::size_t position_ = 0;
  std::uint32_t hold_ = 0;  // bits read and not yet used
  int held_ = 0;
  std::string out_;
};

}  // namespace

std::uint32_t adler32(std::string_view bytes) {
  constexpr std::uint32_t kModulus = 65521;
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char byte : bytes) {
    a = (a + static_cast<unsigned char>(byte)) % kModulus;
    b = (b + a) % kModulus;
  }
  return b << 16 | a;
}

std::string inflate_zlib(std::string_view data, std::size_t max_size, const std::string& name) {
  constexpr std::size_t kHeader = 2;
  constexpr std::size_t kTrailer = 4;
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(data[i]));
  };
  if (data.size() < kHeader + kTrailer || (byte(0) & 0x0F) != 8 ||
      (byte(0) << 8 | byte(1)) % 31 != 0 || (byte(1) & 0x20) != 0) {
    throw InputError(name + ": damaged compressed data: no zlib header");
  }
  Inflater inflater(data.substr(kHeader), max_size, name);
  std::string out = inflater.run();
  const std::size_t end = kHeader + inflater.position();
  std::uint32_t expected = 0;
  for (std::size_t i = end; i < end + kTrailer && i < data.size(); ++i)
    expected = expected << 8 | byte(i);
  if (end + kTrailer > data.size() || adler32(out) != expected) {
    throw InputError(name + ": damaged compressed data: checksum");
  }
  return out;
}

}  // namespace bw
