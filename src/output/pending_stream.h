// A PendingFile (base/files.h) that is written as a stream of bytes; every failure names the target
// and the system's reason.
#pragma once

#include <cstdio>
#include <memory>
#include <string_view>

#include "base/files.h"

namespace bw {

class PendingStream {
 public:
  explicit PendingStream(std::filesystem::path target);  // throws OutputError
  void write(std::string_view bytes);                    // throws OutputError
  // All bytes reach the disk's cache or OutputError is thrown; the file keeps its temporary name.
  void close();
  // close(), then the file gets its name.
  void commit();
  [[nodiscard]] const std::filesystem::path& target() const { return pending_.target(); }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  PendingFile pending_;  // before file_: removed after it is closed
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace bw
