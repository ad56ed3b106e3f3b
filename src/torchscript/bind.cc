#include "torchscript/bind.h"

#include <ATen/ATen.h>

#include <sstream>

#include "base/error.h"
#include "base/origin.h"

namespace bw {
namespace {

class Binder {
 public:
  Binder(const WeightBinding& binding, const std::string& archive)
      : binding_(binding), weights_(binding.weights), archive_(archive) {}

  // path: of the module within the code, with a dot at its end unless it is the root.
  void bind(torch::jit::Module module, const std::string& path) {
    const c10::ClassTypePtr type = module.type();
    for (std::size_t i = 0; i < type->numAttributes(); ++i) {
      const std::string& name = type->getAttributeName(i);
      const c10::IValue value = module.attr(name);
      std::string own = path;
      own += name;
      if (value.isModule()) {
        own += '.';
        bind(value.toModule(), own);
      } else if (value.isTensor() && value.toTensor().is_meta()) {
        const bool is_prepared = binding_.prepared.contains(own);
        module.setattr(name, weight(binding_.prefix + own, value.toTensor(),
                                    is_prepared ? binding_.form : WeightForm::kStored));
      } else if (value.isTensor() && binding_.copies != nullptr) {
        module.setattr(name, value.toTensor().to(binding_.copies->device()));
      }
    }
  }

  void finish() const {
    if (num_missing_ == 0) return;
    throw InputError(archive_ + ": " + std::to_string(num_missing_) +
                     " tensors are missing in the weight files: " + missing_ + hint_);
  }

 private:
  // Missing ones are collected, since they tend to come together.
  at::Tensor weight(const std::string& name, const at::Tensor& wanted, WeightForm form) {
    const at::Tensor* found = weights_.find(name);
    if (found == nullptr) {
      note_missing(name);
      return wanted;
    }
    if (found->sizes() != wanted.sizes() ||
        found->is_floating_point() != wanted.is_floating_point()) {
      std::ostringstream message;
      message << archive_ << ": the tensor '" << name << "' is " << found->scalar_type()
              << found->sizes() << " in the weight files; the code expects " << wanted.scalar_type()
              << wanted.sizes();
      throw InputError(message.str());
    }
    if (binding_.copies != nullptr) return binding_.copies->get(*found, wanted.scalar_type(), form);
    return prepare_weight(found->to(wanted.scalar_type()), form);
  }

  void note_missing(const std::string& name) {
    constexpr int kNamed = 5;
    if (num_missing_ == 0) {
      const std::string near = nearest(name, weights_.names());
      if (!near.empty()) hint_ = " (the nearest to the first is '" + near + "')";
    }
    if (num_missing_ < kNamed) missing_ += (num_missing_ > 0 ? ", " : "") + name;
    if (num_missing_ == kNamed) missing_ += ", …";
    ++num_missing_;
  }

  const WeightBinding& binding_;
  const WeightSet& weights_;
  const std::string& archive_;
  int num_missing_ = 0;
  std::string missing_;
  std::string hint_;
};

}  // namespace

torch::jit::Module bind_weights(const torch::jit::Module& code, const WeightBinding& binding,
                                const std::string& archive) {
  torch::jit::Module module = code.deepcopy();
  Binder binder(binding, archive);
  binder.bind(module, "");
  binder.finish();
  return module;
}

}  // namespace bw
