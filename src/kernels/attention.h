// The attention core of a block, cut out of its code so that its form can be chosen here.
// Read bundle/torchscript_denoiser.h for where it is called.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw {

enum class AttentionForm : std::int8_t {
  kSdpa,   // at::scaled_dot_product_attention: what the traced code itself calls
  kPlain,  // softmax(q·scale @ kᵀ) @ v, every product in the dtype of q
  kFlash,  // attention_avx512.h: bfloat16, head sizes that are multiples of 64
};

inline constexpr std::array kAttentionForms = {AttentionForm::kSdpa, AttentionForm::kPlain,
                                               AttentionForm::kFlash};

// "sdpa", "plain", "flash", as --attention calls them, and back; nothing for other texts.
[[nodiscard]] std::string_view attention_form_name(AttentionForm form);
[[nodiscard]] std::optional<AttentionForm> find_attention_form(std::string_view name);

// Why a form cannot run on this device or processor or in this dtype, as the end of a sentence
// about the form ("needs …"); empty when it can.
[[nodiscard]] std::string attention_obstacle(AttentionForm form, c10::Device device,
                                             at::ScalarType dtype);
// The same with the shapes of one call.
[[nodiscard]] std::string attention_obstacle(AttentionForm form, const at::Tensor& q,
                                             const at::Tensor& k, const at::Tensor& v);

// The plain form keeps all scores [B,heads,N,L]: above this number the rule leaves it out, and so
// does a measurement. 128 MiB of bfloat16.
inline constexpr std::int64_t kPlainMaxScores = std::int64_t{1} << 26;
[[nodiscard]] std::int64_t num_scores(const at::Tensor& q, const at::Tensor& k);

// float32 (and all but bfloat16): kSdpa, the very operator that the traced code calls, so that
// results equal the original's. bfloat16: kFlash where the processor and the head size allow it;
// elsewhere kPlain up to 640 keys and kPlainMaxScores, and kSdpa above, which needs no
// [B,heads,N,N]. docs/performance.md has the measurements. The rule looks at device, dtype and
// sizes alone, so that a run repeats bit for bit.
[[nodiscard]] AttentionForm attention_form(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v);

// softmax(q kᵀ / sqrt(D)) v without mask. q, k, v and result: [B,heads,N,D], one dtype, any
// strides. The result's memory may have another order of axes. A form that has an obstacle is
// c10::Error.
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                AttentionForm form);
// In the form of the innermost AttentionScope, else by the rule.
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// While it lives, attention that this thread calls has this form; nothing: by the rule.
class AttentionScope {
 public:
  explicit AttentionScope(std::optional<AttentionForm> form);
  ~AttentionScope();
  AttentionScope(const AttentionScope&) = delete;
  AttentionScope& operator=(const AttentionScope&) = delete;

 private:
  std::optional<AttentionForm> before_;
};

}  // namespace bw
