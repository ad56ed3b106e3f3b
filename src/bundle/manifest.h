// What a bundle says about itself: model.json (docs/bundle-format.md), strictly read, before
// anything is loaded. Read bundle.h for how a bundle is opened and loaded.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/origin.h"

namespace bw {

// Size of a clip in pixels and frames, as asked for.
struct ClipSize {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t num_frames = 0;
};

// Where each value of a ClipSize came from, so that an error names the flag.
struct ClipOrigin {
  Origin width;
  Origin height;
  Origin num_frames;
};

// Size of a clip's latents [B,C,F,H,W].
struct LatentShape {
  std::int64_t channels = 0;
  std::int64_t frames = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  [[nodiscard]] std::vector<std::int64_t> sizes(std::int64_t batch) const {
    return {batch, channels, frames, height, width};
  }
  // Latent positions, F·H·W.
  [[nodiscard]] std::int64_t positions() const { return frames * height * width; }
  bool operator==(const LatentShape&) const = default;
};

struct LatentGeometry {
  std::int64_t channels = 0;
  std::int64_t spatial_stride = 0;
  std::int64_t temporal_stride = 0;
  std::int64_t leading_frames = 0;  // decoded frames to drop at the start of a clip
  std::vector<double> mean;         // per channel; decoder input = latent * std + mean
  std::vector<double> std;
};

// One tensor of the hidden state.
struct StreamInfo {
  std::string name;
  bool is_text = false;  // tokens: text_tokens, or else the patches of the latent grid
  std::array<std::int64_t, 3> patch{1, 1, 1};  // frames, rows, columns per token
  std::int64_t dim = 0;
};

enum class Cleaning { kNone, kWhitespace, kLowercase };

// One thing that the text encoder reads from a prompt: the subject, the motion …
struct PromptAttribute {
  std::string name;
  std::vector<std::string> classes;
};

// How a prompt becomes token ids (text_encoder.h), and what can be said of it (prompt_words.h).
struct TextPipeline {
  std::string tokenizer;  // file in the bundle
  Cleaning cleaning = Cleaning::kNone;
  std::int64_t max_tokens = 0;  // including the end mark
  bool add_eos = true;
  std::int64_t pad_id = 0;
  std::string prompt_template;              // "{}" stands for the cleaned prompt
  bool trim = false;                        // embeddings of the padding become zero (Wan)
  std::vector<PromptAttribute> attributes;  // of the method `attributes`; empty: there is none
  std::vector<std::string> words;  // of the training's captions, ascending; empty: not known
};

// A code archive and the roles of its inputs, in order.
struct CodeCall {
  std::string code;
  std::vector<std::string> inputs;
};

struct BlockEntry {
  std::string kind;
  std::string prefix;  // of the names of its weights
};

// A list of blocks for a range of time steps; most models have one.
struct Expert {
  std::string name;
  double from = 0;  // from >= t >= to
  double to = 0;
  CodeCall conditions;
  CodeCall time;
  CodeCall embed;
  std::string head;
  std::vector<BlockEntry> blocks;
};

struct BlockKind {
  std::string code;
  std::vector<std::string> stages;
  std::string attention;  // the stage cut into qkv and attention_out; empty: none
};

// A file of the bundle, relative to its directory, and its sha256 (lower-case hexadecimal).
struct HashedFile {
  std::string file;
  std::string sha256;
};

enum class GuidanceKind { kCfg, kDistilled, kNone };

struct ClipDefaults {
  ClipSize size;
  double fps = 0;
  std::int64_t steps = 0;
  double guidance_scale = 0;
  std::string negative_prompt;
};

struct Manifest {
  std::filesystem::path directory;
  std::string
      hash;   // sha256 of model.json: identifies code and weights too, since it holds their hashes
  Json json;  // the whole text as read

  std::string name;
  std::string family;
  std::string description;
  std::string licence;
  std::string attribution;  // may be empty
  LatentGeometry latent;
  std::vector<StreamInfo> streams;
  std::optional<TextPipeline> text;
  std::int64_t text_dim = 0;  // the text embedding is [B,text_tokens,text_dim]
  std::int64_t text_tokens = 0;
  std::vector<Expert> experts;
  std::map<std::string, BlockKind> kinds;
  std::string text_encoder;  // names of code entries; empty: the bundle has none
  std::string decoder;
  std::map<std::string, std::map<std::string, HashedFile>> code;  // name, dtype
  std::vector<HashedFile> weights;
  Json scheduler;  // diffusers' class name and configuration keys
  std::string prediction_type;
  GuidanceKind guidance = GuidanceKind::kCfg;
  ClipDefaults defaults;
  Json cache_presets;                // name -> {"cache": {…}, "measured": {…}}
  std::string default_cache_preset;  // may be empty
  std::vector<std::string> golden;
};

// Reads DIRECTORY/model.json and checks it: JSON, schema, names that refer to each other, files
// that must exist. Throws InputError naming file and path ("…/model.json: latent.channels: …").
// Reads no weights.
[[nodiscard]] Manifest read_manifest(const std::filesystem::path& directory);

// Latent size of a clip. Rejects a size or number of frames that the model cannot make, with the
// nearest ones it can.
[[nodiscard]] LatentShape latent_shape(const Manifest& manifest, const ClipSize& size,
                                       const ClipOrigin& origin);
// Size of the clip that latents of this shape decode to.
[[nodiscard]] ClipSize clip_size(const Manifest& manifest, const LatentShape& shape);

// What names a bundle's weights: the sha256 of their file; of several files, that of their
// hexadecimal hashes, a line each (docs/bundle-format.md).
[[nodiscard]] std::string weights_hash(const Manifest& manifest);

// Which of the experts runs at a scheduler's time step: the first whose range holds it. Throws
// InputError when none does.
[[nodiscard]] std::size_t expert_at(std::span<const Expert> experts, double timestep);

// Tokens of a stream at this size of the latent.
[[nodiscard]] std::int64_t num_tokens(const Manifest& manifest, const StreamInfo& stream,
                                      const LatentShape& shape);

// Bytes of the hidden state, per stream, for a batch of this many rows.
[[nodiscard]] std::vector<std::int64_t> hidden_bytes(const Manifest& manifest,
                                                     const LatentShape& shape, at::ScalarType dtype,
                                                     std::int64_t batch);

// "float32", "bfloat16": the dtypes for which every archive of the bundle exists.
[[nodiscard]] std::vector<std::string> runnable_dtypes(const Manifest& manifest);
// The dtype of that name (fp32 and bf16 are accepted too); rejects one that this bundle cannot run.
[[nodiscard]] at::ScalarType find_dtype(const Manifest& manifest, const std::string& name,
                                        const Origin& origin);

}  // namespace bw
