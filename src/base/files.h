// Files: atomic writing, read-only mapping, hashing, UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bw {

// A file that appears under its name only when whole: write to path(), then commit(). Without
// commit() nothing stays behind. Parent directories are created. Throws OutputError.
class PendingFile {
 public:
  explicit PendingFile(std::filesystem::path target);
  ~PendingFile();  // removes the temporary file unless committed
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  // Same folder and same extension as the target, so that libraries that look at the name agree.
  [[nodiscard]] const std::filesystem::path& path() const { return temporary_; }
  [[nodiscard]] const std::filesystem::path& target() const { return target_; }
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

// Writes all bytes through a PendingFile. Throws OutputError naming the path and the system's
// reason.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Throws InputError when it cannot be read.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

// Throws OutputError when a file could not be created there (a directory of that name, a parent
// that is a file or read-only). Creates nothing.
void check_writable(const std::filesystem::path& path);

// A private read-only mapping of a whole file; pages may be shared by processes. Throws InputError.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Lower-case hexadecimal SHA-256.
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string sha256_file(const std::filesystem::path& path);

[[nodiscard]] bool is_valid_utf8(std::string_view text);

// "1.5 MiB"
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

}  // namespace bw
