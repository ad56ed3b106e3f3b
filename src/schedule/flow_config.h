// Configuration of the flow schedulers under diffusers' names. Read sigma_table.h for what becomes
// of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/params.h"

namespace bw {

// Keys that every flow scheduler reads: they make the shift of the noise levels.
struct FlowParams : public Params {
  std::int64_t num_train_timesteps = 1000;
  double shift = 1.0;
  bool use_dynamic_shifting = false;
  double base_shift = 0.5;
  double max_shift = 1.15;
  std::int64_t base_image_seq_len = 256;
  std::int64_t max_image_seq_len = 4096;
  std::string time_shift_type = "exponential";
  double shift_terminal = 0;             // 0: off
  std::string_view shift_key = "shift";  // "flow_shift" where the configuration says so

  void visit(ParamVisitor& visitor) override;
  void check(const Origin& origin) const override;
};

// With the choice of the noise levels before the shift, for those that let a caller pass them.
struct FlowTableParams : public FlowParams {
  std::string sigmas = "diffusers";  // "diffusers" | "explicit" | "linear_quadratic"

  void visit(ParamVisitor& visitor) override;
};

// Euler and Heun.
struct FlowMatchParams final : public FlowTableParams {
  bool invert_sigmas = false;

  void visit(ParamVisitor& visitor) override;
};

// A key of diffusers' class that is no parameter here.
struct KeyRule {
  std::string_view key;
  std::string_view
      only;  // the one value that can be honoured, as text; "" when no value has an effect
  std::string_view reason;  // why no other value can
};

// Reads `config` into `params`. null means unset, as diffusers writes it; flow_shift is another
// name of shift. Rejects unknown keys with the nearest known, and values against `rules` or against
// the ranges of `params`.
void read_flow_config(FlowParams& params, const Json& config, std::span<const KeyRule> rules,
                      const Origin& origin);

}  // namespace bw
