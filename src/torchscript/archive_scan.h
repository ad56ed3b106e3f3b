// Looks at a TorchScript archive before torch::jit::load, which can run code of the archive, sees
// it. Read operator_allow_list.inc for what code may call, archive.h for loading.
#pragma once

#include <string>
#include <string_view>

namespace caffe2::serialize {
class PyTorchStreamReader;
}

namespace bw {

// Checks records, code and pickles. `archive_bytes` is the size of the whole file, which bounds
// what a record may claim. Throws InputError naming the archive and the record.
void scan_archive(caffe2::serialize::PyTorchStreamReader& reader, std::size_t archive_bytes,
                  const std::string& archive);

// One code record: Python-like text. Every operator must be on the allow-list; an attribute or
// method must not be the name of an operator that is not, since `x.save(…)` calls aten::save.
// `place` names archive and record in the error.
void scan_code(std::string_view code, const std::string& place);

// One pickle: only opcodes that TorchScript writes, and only classes that rebuild tensors or belong
// to the archive.
void scan_pickle(std::string_view pickle, const std::string& place);

}  // namespace bw
