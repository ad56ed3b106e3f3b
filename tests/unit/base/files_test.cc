#include "base/files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(Files, PendingFile_WithoutCommit_LeavesNothing) {
  {
    const PendingFile pending(folder_ / "a.mp4");
    std::ofstream(pending.path()) << "half";
    EXPECT_EQ(pending.path().extension(), ".mp4");
  }
  EXPECT_EQ(count(), 0U);
}

TEST_F(Files, WriteFile_CreatesParentsAndOneFile) {
  write_file(folder_ / "new" / "a.txt", "whole");
  EXPECT_EQ(read_file(folder_ / "new" / "a.txt"), "whole");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "new"), fs::directory_iterator()), 1);
}

TEST_F(Files, WriteFile_BelowAFile_IsOutputError) {
  EXPECT_THROW(write_file("/dev/full/x", "x"), OutputError);
}

TEST_F(Files, CheckWritable_Folder_IsOutputError) {
  EXPECT_THROW(check_writable(folder_), OutputError);
  EXPECT_NO_THROW(check_writable(folder_ / "b.mp4"));
  EXPECT_EQ(count(), 0U);
}

TEST_F(Files, MappedFile_MissingOrEmpty_IsInputError) {
  EXPECT_THROW(MappedFile(folder_ / "missing"), InputError);
  std::ofstream(folder_ / "empty").close();
  EXPECT_THROW(MappedFile(folder_ / "empty"), InputError);
}

TEST(Sha256, KnownVectors) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Utf8, Table) {
  EXPECT_TRUE(is_valid_utf8("a fox, лиса, 狐 🦊"));
  EXPECT_FALSE(is_valid_utf8("\xff"));
  EXPECT_FALSE(is_valid_utf8("\xc0\xaf")) << "overlong";
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80")) << "surrogate";
  EXPECT_FALSE(is_valid_utf8("\xf0\x9f\xa6")) << "cut off";
  EXPECT_FALSE(is_valid_utf8("\xf4\x90\x80\x80")) << "beyond U+10FFFF";
}

TEST(FormatBytes, Units) {
  EXPECT_EQ(format_bytes(17), "17 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(5ULL << 30), "5.0 GiB");
}

}  // namespace
}  // namespace bw
