#include "torchscript/archive_scan.h"

#include <gmock/gmock.h>

#include <vector>

#include "base/error.h"
#include "unit/torchscript/temporary_folder.h"

namespace bw {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

struct Refused {
  const char* reason;
  std::string text;
  const char* named;  // what the error must name
};

TEST(ScanCode_ForbiddenOperator, IsRefusedInEveryForm) {
  const std::vector<Refused> table = {
      {"writes a file", R"(x = torch.save(y, "/tmp/x"))", "aten.save"},
      {"maps a file", R"(x = torch.from_file("/etc/passwd", False, 10))", "aten.from_file"},
      {"another namespace", R"(x = ops.image.read_file("/etc/passwd"))", "image.read_file"},
      {"spread over lines", "x = torch .\n save(y)", "aten.save"},
      {"a comment between", "x = torch.  # harmless\n  save(y)", "aten.save"},
      {"as a method", R"(y.save("/tmp/x"))", "aten.save"},
      {"as a method of an expression", R"((y + 1).save("/tmp/x"))", "aten.save"},
      {"as a method of a number", R"(1.save("/tmp/x"))", "aten.save"},
      {"not called", "f = torch.save", "aten.save"},
      {"an alias of the module", "t = torch", "'torch' without an operator"},
      {"the module in parentheses", "(torch).save(y)", "'torch' without an operator"},
      {"an alias of a namespace", "o = ops.image", "'ops' without an operator"},
      {"a longer path", "torch.autograd.save(y)", "aten.autograd"},
      {"by name", R"(getattr(y, "save")("/tmp/x"))", "aten.save"},
      {"by a name with escapes", R"(getattr(y, "sa\x76e"))", "escaped"},
      {"getattr itself", "f = getattr", "getattr"},
      {"starts a task", "fork(f, x)", "fork"},
      {"prints", "print(x)", "print"},
      {"reads code", R"(exec("x"))", "exec"},
      {"a C++ class of the program", "x = __torch__.torch.classes.foo.Bar()", "__torch__.torch"},
      {"an alias of where those live", "x = __torch__.torch", "__torch__.torch"},
      {"a triple-quoted string", "x = \"\"\"a\"\"\"", "triple-quoted"},
      {"a prefixed string", "x = r\"\\\"", "prefix"},
      {"a string over two lines", "x = \"a\nb\"", "spans lines"},
      {"a string without an end", "x = \"a", "without an end"},
      {"a byte beyond ASCII", "x\xC3\xA9 = 1", "byte 195"},
      {"a random number", "x = torch.rand([2])", "aten.rand"},
      {"after an innocent line", "y = torch.add(x, x)\nz = torch.save(y)", "aten.save"},
  };
  for (const Refused& row : table) {
    const std::string message =
        message_of<InputError>([&] { scan_code(row.text, "a.pt: code/b.py"); });
    EXPECT_THAT(message, HasSubstr(row.named)) << row.reason;
    EXPECT_THAT(message, HasSubstr("a.pt: code/b.py")) << row.reason;
  }
}

TEST(ScanCode_TracedCode, Passes) {
  // The forms that the serialiser writes, one of each.
  const std::string code = R"(class Block(Module):
  __parameters__ = ["table", ]
  __annotations__["0"] = __torch__.torch.nn.modules.linear.___torch_mangle_0.Linear
  table : Tensor
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.Block,
    hidden: Tuple[Tensor]) -> Tuple[Tensor]:
    _1 = getattr(self.seq, "1")
    input, = hidden
    _2 = (_1).forward((self.l).forward(input, ), )
    _3 = torch.chunk(torch.add(self.table, -1.5e-06), 2, 1)
    _4 = torch.mul(_2, torch.add(CONSTANTS.c0, 1.))
    _5 = int(ops.prim.NumToTensor(torch.size(_4, 1)))
    _6 = annotate(List[Optional[Tensor]], [None, _3])
    if bool(_5):
      _7 = torch.gelu(_4, approximate="tan\"h # no comment")
    else:
      ops.prim.RaiseException("torch.save is only text")
      _7 = uninitialized(Tensor)
    return (_7,)
)";
  EXPECT_NO_THROW(scan_code(code, "a.pt"));
}

std::string global(const std::string& module, const std::string& name) {
  return "\x80\x02"
         "c" +
         module + "\n" + name + "\n";
}

TEST(ScanPickle_BadPickle, IsRefused) {
  const std::vector<Refused> table = {
      {"a function of the system", global("os", "system") + ".", "os.system"},
      {"a builtin", global("builtins", "eval") + ".", "builtins.eval"},
      {"another function of torch", global("torch", "load") + ".", "torch.load"},
      {"a C++ class of the program", global("__torch__.torch.classes.foo", "Bar") + ".", "foo.Bar"},
      {"hidden behind a text",
       std::string("X\x03\x00\x00\x00", 5) + "c.." + global("os", "system") + ".", "os.system"},
      {"an opcode that makes classes by name", "\x80\x02\x93.", "opcode 147"},
      {"no end", "\x80\x02", "no end"},
      {"a text longer than the record", std::string("X\xFF\x00\x00\x00", 5) + "abc", "cut short"},
      {"a text of 2^64 - 1 bytes", std::string("\x8D") + std::string(8, '\xFF') + "abc",
       "cut short"},
      {"a class name without an end", "ctorch", "cut short"},
  };
  for (const Refused& row : table) {
    const std::string message =
        message_of<InputError>([&] { scan_pickle(row.text, "a.pt: data.pkl"); });
    EXPECT_THAT(message, HasSubstr(row.named)) << row.reason;
  }
}

TEST(ScanPickle_TensorsAndOwnClasses, Pass) {
  EXPECT_NO_THROW(scan_pickle(global("__torch__", "Block") + ".", "a"));
  EXPECT_NO_THROW(scan_pickle(global("__torch__.torch.nn.modules.linear", "Linear") + ".", "a"));
  EXPECT_NO_THROW(scan_pickle(global("torch._utils", "_rebuild_tensor_v2") + ".", "a"));
  // A class name inside a text is no class name.
  EXPECT_NO_THROW(scan_pickle(std::string("X\x0C\x00\x00\x00", 5) + "cos\nsystem\n..", "a"));
}

}  // namespace
}  // namespace bw
