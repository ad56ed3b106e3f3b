#include "run/run_record.h"

#include "base/error.h"
#include "output/video_reader.h"
#include "run/plan.h"

namespace bw {

RunRecord read_run_record(const std::filesystem::path& file) {
  const Origin origin = Origin::file(file.string() + ": ");
  Json whole;
  if (file.extension() == ".json") {
    whole = read_json_file(file);
  } else {
    const std::string comment = read_metadata(file).comment;
    if (comment.empty())
      throw InputError(
          file.string() +
          ": carries no plan; it was written with --no-metadata or by another program");
    whole = parse_json(comment, origin);
  }
  const bool ours = whole.is_object() && whole.contains("kind") && whole.at("kind").is_string() &&
                    whole.at("kind").get<std::string>().starts_with("bwcache-gen ");
  if (!ours || !whole.contains("plan") || !whole.contains("bundle")) {
    throw InputError(file.string() + ": is no report or video of this program");
  }
  JsonObject bundle(whole.at("bundle"), origin.at("bundle"));
  return {whole.at("plan"), bundle.text("sha256"), whole};
}

void add_recorded_plan(Request& request, const RunRecord& record,
                       const std::filesystem::path& file) {
  const Origin origin = Origin::file("--from " + file.string() + ": ");
  JsonObject plan(record.plan, origin);
  for (const char* key : {"dtype", "quantize", "attention", "prompt", "negative_prompt", "width",
                          "height", "num_frames", "fps", "seed", "sampler", "steps"}) {
    if (const Json* value = plan.find(key)) {
      if (!(value->is_string() && value->get<std::string>().empty()))
        request.set(key, *value, plan.at(key));
    }
  }
  if (const Json* deterministic = plan.find("deterministic")) {
    request.set("deterministic", *deterministic, plan.at("deterministic"));
  }
  if (const Json* rewrite = plan.find("rewrite")) {
    request.set("no_rewrite", *rewrite == false, plan.at("rewrite"));
  }
  for (const char* key : {"prompt_embeds", "noise"}) {
    const Json* value = plan.find(key);
    if (value == nullptr) continue;
    if (*value == "file")
      reject(plan.at(key),
             "the run read a file that its video does not name; give --" +
                 std::string(key == std::string("noise") ? "noise" : "prompt-embeds") +
                 " again, or use its report");
    request.set(key, *value, plan.at(key));
  }
  JsonObject scheduler(plan.require("scheduler"), plan.at("scheduler"));
  if (const Json* shift = scheduler.find("shift"))
    request.set("flow_shift", *shift, plan.at("scheduler"));
  JsonObject guidance(plan.require("guidance"), plan.at("guidance"));
  request.set("guidance_scale", guidance.require("scale"), guidance.at("scale"));
  request.set("guidance_rescale", guidance.require("rescale"), guidance.at("rescale"));
  request.set("guidance_start", guidance.require("start"), guidance.at("start"));
  request.set("guidance_end", guidance.require("end"), guidance.at("end"));
  request.set("guidance_batching", guidance.boolean("batched") ? "batched" : "separate",
              guidance.at("batched"));
  JsonObject cache(plan.require("cache"), plan.at("cache"));
  if (cache.text("policy") != "replay") {
    Json ask = cache.require("params");
    for (const char* key : kCacheConfigKeys) ask[key] = cache.require(key);
    request.set("cache", ask, plan.at("cache"));
  } else {
    request.set("cache_replay", file.string(), plan.at("cache"));
  }
}

}  // namespace bw
