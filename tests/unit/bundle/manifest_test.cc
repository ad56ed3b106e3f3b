#include "bundle/manifest.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "bundle/model_schema.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using testing::bundle_path;
using testing::BundleCopy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

TEST(ReadManifest_TinyWan, GivesWhatIsWritten) {
  const Manifest manifest = read_manifest(bundle_path("tiny-wan"));
  EXPECT_EQ(manifest.name, "tiny-wan");
  EXPECT_EQ(manifest.latent.channels, 16);
  EXPECT_EQ(manifest.latent.leading_frames, 3);
  EXPECT_EQ(manifest.latent.std.size(), 16U);
  ASSERT_EQ(manifest.experts.size(), 1U);
  EXPECT_EQ(manifest.experts[0].blocks.size(), 3U);
  EXPECT_EQ(manifest.experts[0].blocks[2].prefix, "blocks.2.");
  EXPECT_EQ(manifest.kinds.at("block").attention, "self_attention");
  EXPECT_EQ(manifest.text->cleaning, Cleaning::kWhitespace);
  EXPECT_TRUE(manifest.text->trim);
  ASSERT_EQ(manifest.text->attributes.size(), 2U);
  EXPECT_EQ(manifest.text->attributes[1].name, "light");
  EXPECT_THAT(manifest.text->attributes[1].classes, ElementsAre("noon", "sunset", "night", "dawn"));
  EXPECT_EQ(manifest.text->words.front(), "a");
  EXPECT_EQ(manifest.guidance, GuidanceKind::kCfg);
  EXPECT_EQ(manifest.hash, sha256_file(bundle_path("tiny-wan") / "model.json"));
  EXPECT_THAT(runnable_dtypes(manifest), ElementsAre("float32", "bfloat16"));
}

TEST(ReadManifest_Synthetic, HasTwoExpertsAndTwoStreams) {
  const Manifest manifest = read_manifest(bundle_path("synthetic"));
  EXPECT_EQ(manifest.experts.size(), 2U);
  EXPECT_EQ(manifest.streams.size(), 2U);
  EXPECT_TRUE(manifest.streams[1].is_text);
  EXPECT_FALSE(manifest.text.has_value());
}

struct BadManifest {
  const char* reason;
  const char* pointer;  // JSON pointer of what is replaced
  Json value;           // null: removed
  const char* message;
};

TEST(ReadManifest_BadValue, IsRefusedNamingItsPath) {
  const std::vector<BadManifest> table = {
      {"a newer format", "/format_version", 2,
       "format_version: the bundle has format version 2; this program reads up to 1"},
      {"a format before the first", "/format_version", 0, "format_version: must be 1, got 0"},
      {"a version that is no number", "/format_version", "1", "format_version: must be an integer"},
      {"a required key missing", "/latent/channels", nullptr, "latent.channels: is missing"},
      {"another type", "/latent/channels", "16", "latent.channels: must be an integer, got text"},
      {"zero", "/latent/channels", 0, "latent.channels: must be from 1 to"},
      {"too few means", "/latent/mean", Json::array({0.0}),
       "latent.mean: has 1 values; latent.channels is 16"},
      {"a deviation of zero", "/latent/std/3", 0, "latent.std: must be > 0"},
      {"an unknown key", "/latent/chanels", 16,
       "latent.chanels: unknown key; did you mean 'channels'?"},
      {"an unknown key at the root", "/licens", "x",
       "licens: unknown key; did you mean 'licence'?"},
      {"an unknown choice", "/text/cleaning", "lowercas",
       "text.cleaning: unknown value 'lowercas'; did you mean 'lowercase'?"},
      {"a template without a place for the prompt", "/text/template", "x",
       "text.template: must hold {} once"},
      {"no attributes", "/text/attributes", Json::array(), "text.attributes: must not be empty"},
      {"an attribute without classes", "/text/attributes/1/classes", nullptr,
       "text.attributes[1].classes: is missing"},
      {"an attribute given twice", "/text/attributes/1/name", "subject",
       "text.attributes[1].name: 'subject' appears twice"},
      {"a class given twice", "/text/attributes/1/classes/2", "noon",
       "text.attributes[1].classes[2]: 'noon' appears twice"},
      {"a class that is no text", "/text/attributes/1/classes/2", 7,
       "text.attributes[1].classes[2]: must be text, got an integer"},
      {"a word out of order", "/text/words/1", "zebra",
       "text.words[2]: 'balloon' must come before 'zebra'"},
      {"a word given twice", "/text/words/1", "a", "text.words[1]: 'a' must come before 'a'"},
      {"an empty word", "/text/words/0", "", "text.words[0]: must not be empty"},
      {"no words", "/text/words", Json::array(), "text.words: must not be empty"},
      {"a path out of the bundle", "/text/tokenizer", "../x",
       "text.tokenizer: must be a path inside the bundle"},
      {"an absolute path", "/weights/0/file", "/etc/passwd",
       "weights[0].file: must be a path inside the bundle"},
      {"a hash that is none", "/weights/0/sha256", "abc", "weights[0].sha256: must be 64"},
      {"a name without end", "/name", std::string(5000, 'x'), "name: has 5000 characters"},
      {"a text without end", "/description", std::string(20000, 'x'),
       "description: is longer than 10000"},
      {"no experts", "/experts", Json::array(), "experts: must not be empty"},
      {"a range that runs backwards", "/experts/0/to", 2000, "experts[0]: 'from' must be >= 'to'"},
      {"an unknown kind", "/experts/0/blocks/1/kind", "blok",
       "experts[0].blocks[1].kind: 'blok' is not in 'kinds'; did you mean 'block'?"},
      {"unknown code", "/experts/0/head/code", "haed",
       "experts[0].head.code: 'haed' is not in 'code'; did you mean 'head'?"},
      {"a role that does not exist", "/experts/0/embed/inputs/0", "image",
       "experts[0].embed.inputs: the role 'image'"},
      {"a step's input for a branch's function", "/experts/0/conditions/inputs/0", "t",
       "experts[0].conditions.inputs: the role 't'"},
      {"an attention that is no stage", "/kinds/block/attention", "attn",
       "kinds.block.attention: 'attn' is not in 'stages'"},
      {"text without its encoder", "/text_encoder", nullptr, "text_encoder: is missing"},
      {"distilled guidance that nobody takes", "/guidance", "distilled",
       "guidance: is 'distilled', but"},
      {"a default the model cannot make", "/defaults/num_frames", 18,
       "defaults.num_frames: must be 4k+1"},
      {"no dtype complete",
       "/code/head",
       {{"float16", {{"file", "code/head.float32.pt"}, {"sha256", std::string(64, '0')}}}},
       "code: no dtype"},
      {"a preset that does not exist", "/default_cache_preset", "fast",
       "default_cache_preset: 'fast' is not in"},
      {"a preset without a policy",
       "/cache_presets",
       {{"a", {{"cache", Json::object()}}}},
       "cache_presets.a.cache.policy: is missing"},
      {"what only the schema knows", "/name", "two words", "name: "},
      {"a scheduler's key only the schema knows", "/scheduler/shift", -1, "scheduler.shift: "},
  };
  for (const BadManifest& row : table) {
    const BundleCopy bundle("tiny-wan");
    bundle.edit_manifest([&](Json& manifest) {
      const Json::json_pointer pointer(row.pointer);
      if (row.value.is_null()) {
        manifest[pointer.parent_pointer()].erase(pointer.back());
      } else {
        manifest[pointer] = row.value;
      }
    });
    const std::string message = message_of<InputError>([&] { (void)read_manifest(bundle.path()); });
    EXPECT_THAT(message, HasSubstr("model.json: ")) << row.reason;
    EXPECT_THAT(message, HasSubstr(row.message)) << row.reason;
  }
}

TEST(ReadManifest_BadText, IsRefused) {
  const BundleCopy bundle("tiny-wan");
  const auto path = bundle.path() / "model.json";
  write_file(path, "{\"format_version\": 1,");
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest(bundle.path()); }),
              HasSubstr("not valid JSON"));
  write_file(path, R"({"format_version": 1, "name": "a", "name": "b"})");
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest(bundle.path()); }),
              HasSubstr("'name' appears twice"));
  write_file(path, std::string(100'000, '['));
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest(bundle.path()); }),
              HasSubstr("not valid JSON"));
  write_file(path,
             R"({"format_version": )" + std::string(50'000, '[') + std::string(50'000, ']') + "}");
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest(bundle.path()); }),
              HasSubstr("nested deeper"));
  std::filesystem::remove(path);
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest(bundle.path()); }),
              HasSubstr("no model bundle"));
  EXPECT_THAT(message_of<InputError>([&] { (void)read_manifest("/nowhere"); }),
              HasSubstr("/nowhere: is no model bundle"));
}

TEST(ModelSchema_Violation, NamesTheDeepestPath) {
  Json manifest = read_json_file(bundle_path("tiny-wan") / "model.json");
  EXPECT_NO_THROW(check_model_schema(manifest, Origin::file("m: ")));
  manifest["experts"][0]["blocks"][1]["prefix"] = "no point at the end";
  const std::string message =
      message_of<InputError>([&] { check_model_schema(manifest, Origin::file("m: ")); });
  EXPECT_THAT(message, HasSubstr("m: experts[0].blocks[1].prefix: "));
}

const ClipOrigin kFlags = {Origin::flag("--width"), Origin::flag("--height"),
                           Origin::flag("--num-frames")};

TEST(LatentShape_GoodSize, FollowsTheStrides) {
  const Manifest manifest = read_manifest(bundle_path("tiny-wan"));  // strides 8 and 4, patch 1x2x2
  const LatentShape shape = latent_shape(manifest, {128, 64, 17}, kFlags);
  EXPECT_EQ(shape, (LatentShape{.channels = 16, .frames = 5, .height = 8, .width = 16}));
  EXPECT_EQ(clip_size(manifest, shape).num_frames, 17);
  EXPECT_EQ(clip_size(manifest, shape).width, 128);
  // 5·4·8 tokens of 32 numbers, two rows, two bytes.
  EXPECT_THAT(hidden_bytes(manifest, shape, at::kBFloat16, 2), ElementsAre(5 * 4 * 8 * 32 * 2 * 2));
}

TEST(HiddenBytes_TextStream, CountsTextTokens) {
  const Manifest manifest = read_manifest(bundle_path("synthetic"));
  const LatentShape shape{.channels = 8, .frames = 3, .height = 4, .width = 2};
  EXPECT_THAT(hidden_bytes(manifest, shape, at::kFloat, 1), ElementsAre(24 * 16 * 4, 6 * 24 * 4));
}

struct BadSize {
  const char* reason;
  ClipSize size;
  const char* message;
};

TEST(LatentShape_BadSize, NamesFlagValueAndNearest) {
  const Manifest manifest = read_manifest(bundle_path("tiny-wan"));
  const std::vector<BadSize> table = {
      {"between two",
       {128, 128, 80},
       "--num-frames: must be 4k+1 from 1 for this model (got 80); use 77 or 81"},
      {"below the smallest", {128, 128, 0}, "(got 0); use 1"},
      {"negative", {128, 128, -3}, "use 1"},
      {"beyond the largest", {128, 128, 1 << 30}, "use 99997"},
      {"half a patch",
       {136, 128, 17},
       "--width: must be a multiple of 16 from 16 for this model (got 136); use 128 or 144"},
      {"nothing",
       {128, 0, 17},
       "--height: must be a multiple of 16 from 16 for this model (got 0); use 16"},
      {"beyond the largest width", {1 << 20, 128, 17}, "use 16384"},
  };
  for (const BadSize& row : table) {
    const std::string message =
        message_of<UsageError>([&] { (void)latent_shape(manifest, row.size, kFlags); });
    EXPECT_THAT(message, HasSubstr(row.message)) << row.reason;
  }
}

TEST(WeightsHash, OneFileOrSeveral_FollowsTheFormat) {
  Manifest manifest;
  manifest.weights = {{"a.safetensors", std::string(64, 'a')}};
  EXPECT_EQ(weights_hash(manifest), std::string(64, 'a'));
  manifest.weights.push_back({"b.safetensors", std::string(64, 'b')});
  // hashlib.sha256(("a" * 64 + "\\n" + "b" * 64 + "\\n").encode())
  EXPECT_EQ(weights_hash(manifest),
            "913f9338fb6c17253f3a14816fc08d52522454bfc19a8c99538a197cfb23fb41");
}

TEST(FindDtype_Names, AreAcceptedOrRefusedWithTheKnown) {
  const Manifest manifest = read_manifest(bundle_path("tiny-wan"));
  const Origin flag = Origin::flag("--dtype");
  EXPECT_EQ(find_dtype(manifest, "float32", flag), at::kFloat);
  EXPECT_EQ(find_dtype(manifest, "bf16", flag), at::kBFloat16);
  for (const char* bad : {"float16", "float31"}) {
    const std::string message =
        message_of<UsageError>([&] { (void)find_dtype(manifest, bad, flag); });
    EXPECT_THAT(message, HasSubstr(std::string("'") + bad + "'"));
    EXPECT_THAT(message, HasSubstr("float32, bfloat16"));
  }
}

}  // namespace
}  // namespace bw
