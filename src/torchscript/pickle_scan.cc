#include <array>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "torchscript/archive_scan.h"

namespace bw {
namespace {

// How the argument of an opcode is measured.
enum class Argument { kUnknown, kNone, kBytes, kLength, kTwoLines };

struct Opcode {
  Argument argument = Argument::kUnknown;
  std::size_t size = 0;  // of the argument, or of the length before it
};

constexpr std::size_t kOpcodes = 256;

// The opcodes that torch's unpickler knows (torch/csrc/jit/serialization/pickler.h).
constexpr std::array<Opcode, kOpcodes> make_opcodes() {
  std::array<Opcode, kOpcodes> table{};
  for (const char c : {'(', ')', ']', '}', '.', '0', 'N', 'Q', 'R', 'a', 'b', 'e', 's', 't', 'u'}) {
    table.at(static_cast<unsigned char>(c)) = {Argument::kNone, 0};
  }
  for (const int c : {0x81, 0x85, 0x86, 0x87, 0x88, 0x89}) table.at(c) = {Argument::kNone, 0};
  for (const int c : {0x80, int{'K'}, int{'q'}, int{'h'}}) table.at(c) = {Argument::kBytes, 1};
  table.at('M') = {Argument::kBytes, 2};
  for (const int c : {int{'J'}, int{'r'}, int{'j'}}) table.at(c) = {Argument::kBytes, 4};
  table.at('G') = {Argument::kBytes, 8};
  table.at(0x8A) = {Argument::kLength, 1};                                        // LONG1
  for (const int c : {int{'X'}, int{'T'}}) table.at(c) = {Argument::kLength, 4};  // text
  table.at('U') = {Argument::kLength, 1};
  table.at(0x8C) = {Argument::kLength, 1};
  table.at(0x8D) = {Argument::kLength, 8};
  table.at('c') = {Argument::kTwoLines, 0};  // GLOBAL module name
  return table;
}

constexpr std::array<Opcode, kOpcodes> kTable = make_opcodes();

// Cursor over the pickle; every read is checked.
class Cursor {
 public:
  Cursor(std::string_view bytes, const std::string& place) : rest_(bytes), place_(place) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) throw InputError(place_ + ": the pickle is cut short");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::uint64_t little_endian(std::size_t size) {
    std::uint64_t value = 0;
    const std::string_view bytes = take(size);
    for (std::size_t i = 0; i < size; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return value;
  }

  std::string_view line() {
    const std::string_view text =
        take(rest_.find('\n') == rest_.npos ? rest_.size() + 1 : rest_.find('\n'));
    take(1);
    return text;
  }

 private:
  std::string_view rest_;
  const std::string& place_;
};

bool is_allowed_class(std::string_view module, std::string_view name) {
  static const std::set<std::string, std::less<>> kAllowed = {
      "torch._utils._rebuild_tensor_v2",
      "collections.OrderedDict",
      "torch.device",
      "torch.jit._pickle.build_intlist",
      "torch.jit._pickle.build_tensorlist",
      "torch.jit._pickle.build_doublelist",
      "torch.jit._pickle.build_boollist",
      "torch.jit._pickle.restore_type_tag",
      "torch.FloatStorage",
      "torch.DoubleStorage",
      "torch.HalfStorage",
      "torch.BFloat16Storage",
      "torch.LongStorage",
      "torch.IntStorage",
      "torch.ShortStorage",
      "torch.CharStorage",
      "torch.ByteStorage",
      "torch.BoolStorage",
  };
  if (kAllowed.contains(std::string(module) + "." + std::string(name))) return true;
  // Classes of the archive itself, whose code is scanned; but not C++ classes registered in the
  // program.
  const bool is_own = module == "__torch__" || module.starts_with("__torch__.");
  return is_own && !module.starts_with("__torch__.torch.classes") &&
         !(module == "__torch__.torch" && name == "classes");
}

}  // namespace

void scan_pickle(std::string_view pickle, const std::string& place) {
  Cursor cursor(pickle, place);
  while (!cursor.at_end()) {
    const auto code = static_cast<unsigned char>(cursor.take(1).front());
    const Opcode opcode = kTable.at(code);
    switch (opcode.argument) {
      case Argument::kNone:
        break;
      case Argument::kBytes:
        cursor.take(opcode.size);
        break;
      case Argument::kLength:
        cursor.take(cursor.little_endian(opcode.size));
        break;
      case Argument::kTwoLines: {
        const std::string_view module = cursor.line();
        const std::string_view name = cursor.line();
        if (!is_allowed_class(module, name)) {
          throw InputError(place + ": the pickle names the class '" + std::string(module) + "." +
                           std::string(name) + "', which a bundle may not use");
        }
        break;
      }
      case Argument::kUnknown:
        throw InputError(place + ": the pickle has the opcode " + std::to_string(code) +
                         ", which TorchScript does not write");
    }
    if (code == '.') return;  // STOP: what follows is not read by anybody
  }
  throw InputError(place + ": the pickle has no end");
}

}  // namespace bw
