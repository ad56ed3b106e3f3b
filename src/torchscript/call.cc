#include "torchscript/call.h"

#include <ATen/core/ivalue_inl.h>

#include <exception>
#include <new>
#include <string_view>

#include "base/error.h"

namespace bw {
namespace {

// TorchScript puts a trace of the bundle's code above what went wrong; users need the last line
// alone.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n") + 1;
  const std::size_t start = text.find_last_of('\n', end == 0 ? 0 : end - 1);
  std::string line = text.substr(start == std::string::npos ? 0 : start + 1, end);
  line.resize(line.find_last_not_of(" \n") + 1);
  constexpr std::string_view kPrefix = "RuntimeError: ";
  return line.starts_with(kPrefix) ? line.substr(kPrefix.size()) : line;
}

[[noreturn]] void rethrow(const std::string& archive, const std::string& method,
                          const std::string& reason) {
  const std::string text = archive + ": " + method + "() failed: " + last_line(reason);
  // The allocator's failure reaches us as an ordinary error of the operator that asked.
  if (reason.find("can't allocate memory") != std::string::npos ||
      reason.find("out of memory") != std::string::npos) {
    throw ResourceError(text);
  }
  throw InputError(text);
}

}  // namespace

c10::IValue to_tuple(const std::vector<at::Tensor>& tensors) {
  return c10::ivalue::Tuple::create(std::vector<c10::IValue>(tensors.begin(), tensors.end()));
}

std::vector<at::Tensor> from_tuple(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& element : value.toTupleRef().elements()) {
    tensors.push_back(element.toTensor());
  }
  return tensors;
}

c10::IValue call(const torch::jit::Method& method, std::vector<c10::IValue> arguments,
                 const std::string& archive) {
  try {
    return method(std::move(arguments));
  } catch (const c10::Error& error) {
    rethrow(archive, method.name(), error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throw ResourceError(archive + ": " + method.name() + "() failed: not enough memory");
  } catch (const std::exception& error) {
    rethrow(archive, method.name(), error.what());
  }
}

}  // namespace bw
