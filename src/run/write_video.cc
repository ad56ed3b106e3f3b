#include "run/write_video.h"

#include <c10/util/Exception.h>

#include "base/error.h"
#include "base/stopwatch.h"
#include "output/frame_sink.h"
#include "run/cache_setup.h"

namespace bw {

std::filesystem::path latents_path(const Plan& plan) {
  if (plan.clip.output.latents) return *plan.clip.output.latents;
  std::filesystem::path file = plan.clip.output.video;
  return file.replace_extension(".latents.safetensors");
}

void write_video(const Bundle& model, const at::Tensor& latents, Report& report,
                 Observer& observer) {
  const Plan& plan = report.plan;
  const OutputPlan& output = plan.clip.output;
  EncodeOptions options = encode_options(plan);
  if (output.metadata) {
    options.metadata = metadata_to_json(report).dump();
    options.title = plan.clip.prompt;
  }
  const VideoFormat format{static_cast<int>(plan.clip.width), static_cast<int>(plan.clip.height),
                           plan.clip.fps, plan.clip.num_frames};
  const auto sink =
      make_threaded_sink(find_writer(output.video).make(output.video, format, options));
  const Stopwatch decode_watch;
  std::int64_t done = 0;
  model.video_decoder()->decode(latents, [&](const at::Tensor& frames) {
    if (observer.stop_requested()) throw Interrupted("stopped while decoding");
    sink->write(frames);
    done += frames.size(0);
    observer.frames(done, format.num_frames);
  });
  report.timings.decode = decode_watch.seconds();
  const Stopwatch encode_watch;
  sink->finish();
  report.timings.encode = encode_watch.seconds();
  std::error_code is_pattern;  // an image sequence has no single file
  const auto bytes = std::filesystem::file_size(output.video, is_pattern);
  report.output = {output.video.string(), is_pattern ? 0 : bytes, done};
}

KeptLatents::KeptLatents(const Plan& plan, const SavedLatents& latents)
    : file_(latents_path(plan)), wanted_(plan.clip.output.latents.has_value()) {
  write_latents(file_, latents);
}

void KeptLatents::guard(const std::function<void()>& work) const {
  const std::string hint =
      "; the latents are kept: bwcache-gen decode " + file_.string() + " makes the video from them";
  try {
    work();
  } catch (const Error& error) {
    throw Error(error.code(), error.what() + hint);
  } catch (const c10::OutOfMemoryError& error) {
    throw ResourceError(error.what_without_backtrace() + hint);
  } catch (const std::exception& error) {
    throw InternalError(error.what() + hint);
  }
  std::error_code ignored;
  if (!wanted_) std::filesystem::remove(file_, ignored);
}

}  // namespace bw
