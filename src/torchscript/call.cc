#include "torchscript/call.h"

#include <ATen/core/ivalue_inl.h>

#include <exception>
#include <new>

#include "base/error.h"

namespace bw {
namespace {

[[noreturn]] void rethrow(const std::string& archive, const std::string& method,
                          const std::string& reason) {
  const std::string text = archive + ": " + method + "() failed: " + reason;
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
