#include "run/options.h"

#include <array>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

using enum OptionKind;
using Group = OptionGroup;

constexpr double kMaxSize = 16384;

const std::vector<OptionInfo>& table() {
  static const std::vector<OptionInfo> kTable = {
#define BW_OPTION(...) {__VA_ARGS__},
#include "run/options.inc"
#undef BW_OPTION
  };
  return kTable;
}

// Reuses the typed reader of base/params.h for a single value.
class OneValue final : public Params {
 public:
  explicit OneValue(const OptionInfo& option) : option_(option) {}
  void visit(ParamVisitor& visitor) override {
    const ParamDoc doc{"value", option_.meaning};
    switch (option_.kind) {
      case kInteger:
        visitor.integer(doc, integer, option_.range);
        break;
      case kNumber:
        visitor.number(doc, number, option_.range);
        break;
      case kFlag:
        visitor.flag(doc, flag);
        break;
      case kChoice: {
        const std::vector<std::string_view> names(option_.choices.begin(), option_.choices.end());
        visitor.choice(doc, text, names);
        break;
      }
      default:
        visitor.text(doc, text, "text");
        break;
    }
  }
  std::int64_t integer = 0;
  double number = 0;
  bool flag = false;
  std::string text;

 private:
  const OptionInfo& option_;
};

}  // namespace

std::span<const OptionInfo> options() { return table(); }

const OptionInfo* find_option(std::string_view key) {
  for (const OptionInfo& option : table()) {
    if (option.key == key) return &option;
  }
  return nullptr;
}

std::string_view group_title(OptionGroup group) {
  switch (group) {
    case Group::kPrompt:
      return "Prompt";
    case Group::kModel:
      return "Model";
    case Group::kClip:
      return "Clip";
    case Group::kSampling:
      return "Sampling";
    case Group::kCache:
      return "Cache";
    case Group::kOutput:
      return "Output";
  }
  return "";
}

std::string main_flag(const OptionInfo& option) {
  const std::string_view flags = option.flags;
  const std::size_t start = flags.find("--");
  return std::string(flags.substr(start, flags.find(',', start) - start));
}

Json check_option(const OptionInfo& option, const Json& value, const Origin& origin) {
  if (option.kind == kCache) {
    if (!value.is_string() && !value.is_object()) {
      reject(origin, "must be a policy's name or an object, got " + value.dump());
    }
    return value;
  }
  OneValue one(option);
  Json object = Json::object();
  object["value"] = value;
  // The reader appends the field's name to the origin; one value is its own field.
  try {
    read_params(one, object, Origin{origin.kind, ""});
  } catch (const std::runtime_error& error) {
    std::string message = error.what();
    const std::size_t start = message.find("value: ");
    reject(origin, message.substr(start == std::string::npos ? 0 : start + 7));
  }
  switch (option.kind) {
    case kInteger:
      return one.integer;
    case kNumber:
      return one.number;
    case kFlag:
      return one.flag;
    case kBytes:
      return parse_bytes(one.text, origin);
    default:
      return one.text;
  }
}

std::uint64_t parse_bytes(std::string_view text, const Origin& origin) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, text.data() + text.size() - end);
  constexpr std::array<std::pair<std::string_view, double>, 11> kUnits = {{{"", 1},
                                                                           {"B", 1},
                                                                           {"KiB", 1024},
                                                                           {"K", 1024},
                                                                           {"KB", 1e3},
                                                                           {"MiB", 1048576},
                                                                           {"M", 1048576},
                                                                           {"MB", 1e6},
                                                                           {"GiB", 1073741824},
                                                                           {"G", 1073741824},
                                                                           {"GB", 1e9}}};
  for (const auto& [name, factor] : kUnits) {
    if (error == std::errc() && unit == name && value >= 0 && std::isfinite(value)) {
      return static_cast<std::uint64_t>(value * factor);
    }
  }
  reject(origin,
         "must be a number of bytes such as 512MiB or 2GB, got '" + std::string(text) + "'");
}

}  // namespace bw
