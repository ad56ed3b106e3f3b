bw_table_sources(output/writers.inc BW_WRITER output writers)
if(BW_HAVE_FFMPEG)
  set(libav_sources output/libav.cc output/libav_encoder.cc output/libav_reader.cc)
  set(libav PkgConfig::FFmpeg)
else()
  set(libav_sources output/libav_missing.cc)  # every entry point says what to install
  set(libav "")
endif()
bw_library(output PCH ATen/ATen.h
  SOURCES ${writers} ${libav_sources}
    output/bt709.cc output/frame_checks.cc output/frame_rate.cc output/inflate.cc output/libav_codecs.cc
    output/pending_stream.cc output/png.cc output/png_sequence_reader.cc output/sequence_pattern.cc
    output/threaded_sink.cc output/video_reader.cc output/writers.cc output/y4m_reader.cc
  DEPS bw_base LibTorch::torch Threads::Threads ${libav})
