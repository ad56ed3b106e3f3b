// Damaged inputs: whatever the bytes, a reader succeeds or throws a typed error; it never crashes
// (run under ASan too). Mutations are seeded, so a failure repeats; a find becomes a case of its
// own in the reader's unit test.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "bundle/manifest.h"
#include "cache/cache_trace.h"
#include "run/latents.h"
#include "run/request.h"
#include "run/resolve.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 400;
const fs::path kTiny = BW_TEST_DATA "/bundles/tiny-wan";

// Flips, drops, doubles or overwrites a few places; `limit` keeps the damage to the front of the
// file.
std::string mutate(std::string text, std::mt19937& random, std::size_t limit) {
  const std::string alphabet =
      "{}[]\":,0-9eE.\\ \x00\xff"
      "atrue";
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t place = random() % std::min(limit, text.size());
    switch (random() % 4) {
      case 0:
        text[place] = static_cast<char>(text[place] ^ (1 << (random() % 8)));
        break;
      case 1:
        text.erase(place, 1 + random() % 8);
        break;
      case 2:
        text.insert(place, text.substr(place, 1 + random() % 16));
        break;
      default:
        text[place] = alphabet[random() % alphabet.size()];
        break;
    }
  }
  return text;
}

// `read` may throw bw::Error and nothing else.
void expect_typed_errors(const std::string& seed_text, std::size_t limit,
                         const std::function<void(const std::string&)>& read) {
  std::mt19937 random(20240607);
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutate(seed_text, random, limit);
    try {
      read(text);
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ExitCode::kBug) << "round " << round << ": " << error.what();
      ++refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "round " << round << ": untyped error: " << error.what();
    }
  }
  EXPECT_GT(refused, 0) << "the damage did nothing";
}

fs::path scratch(const char* name) { return fs::path(::testing::TempDir()) / name; }

TEST(Fuzz, Manifest) {
  const fs::path folder = scratch("fuzz-bundle");
  fs::remove_all(folder);
  fs::copy(kTiny, folder, fs::copy_options::recursive);
  const std::string whole = read_file(folder / "model.json");
  expect_typed_errors(whole, whole.size(), [&](const std::string& text) {
    std::ofstream(folder / "model.json", std::ios::binary) << text;
    (void)read_manifest(folder);
  });
}

TEST(Fuzz, SafetensorsHeader) {
  const fs::path file = scratch("fuzz.safetensors");
  const std::string whole = read_file(kTiny / "golden/text.safetensors");
  expect_typed_errors(whole, 600, [&](const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
    for (const auto& [name, tensor] : read_safetensors(file).tensors) {
      ASSERT_LE(tensor.nbytes(), text.size()) << name;
    }
  });
}

TEST(Fuzz, Latents) {
  const fs::path file = scratch("fuzz.latents.safetensors");
  write_latents(file,
                {draw_noise(1, {4, 2, 2, 2}), {{"prompt", "a fox"}}, std::string(64, 'a'), 3});
  const std::string whole = read_file(file);
  expect_typed_errors(whole, whole.size(), [&](const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
    (void)read_latents(file);
  });
}

TEST(Fuzz, Config) {
  const Manifest manifest = read_manifest(kTiny);
  const std::string whole =
      R"({"prompt": "a fox", "steps": 8, "fps": 8.5, "seed": 3, "output": "a.mp4",
    "sampler": "unipc", "flow_shift": 3.0, "guidance_scale": 4, "cache_budget": "512MiB",
    "cache": {"policy": "bwcache", "threshold": 0.1, "reuse_interval": "10%", "probe_blocks": "all", "warmup": 2}})";
  expect_typed_errors(whole, whole.size(), [&](const std::string& text) {
    Request request;
    request.add_config(parse_json(text, Origin::file("c.json: ")), Origin::file("c.json: "));
    (void)resolve(request, manifest);
  });
}

TEST(Fuzz, CacheTrace) {
  const std::string whole =
      R"({"sites": ["stack"], "rebuild": "residual", "signal": {"kind": "none"}, "evaluations": [
    {"index": 0, "step": 0, "part": 0, "timestep": 999.0, "sigma": 0.999, "expert": 0, "guided": true,
     "branches": {"cond": {"reuse": "none", "blocks": "cc", "reason": "policy"},
                  "uncond": {"reuse": "stack", "blocks": "rr", "reason": "policy"}}}]})";
  const Origin origin = Origin::file("r.json: cache");
  (void)trace_from_json(parse_json(whole, origin), origin);
  expect_typed_errors(whole, whole.size(), [&](const std::string& text) {
    (void)trace_from_json(parse_json(text, origin), origin);
  });
}

}  // namespace
}  // namespace bw
