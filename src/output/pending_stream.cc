#include "output/pending_stream.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace bw {
namespace {

[[noreturn]] void fail(const std::filesystem::path& target) {
  throw OutputError(target.string() + ": cannot be written: " + std::strerror(errno));
}

}  // namespace

PendingStream::PendingStream(std::filesystem::path target)
    : pending_(std::move(target)), file_(std::fopen(pending_.path().c_str(), "wb")) {
  if (!file_) fail(pending_.target());
}

void PendingStream::write(std::string_view bytes) {
  BW_CHECK(file_ != nullptr, "write after close");
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail(target());
}

void PendingStream::close() {
  if (file_ && std::fclose(file_.release()) != 0) fail(target());
}

void PendingStream::commit() {
  close();
  pending_.commit();
}

}  // namespace bw
