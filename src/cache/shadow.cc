#include "cache/shadow.h"

#include <utility>

#include "kernels/relative_l1.h"

namespace bw {

Hidden plain_blocks(Pass& pass, std::size_t begin, std::size_t end, Hidden hidden) {
  for (std::size_t block = begin; block < end; ++block) hidden = pass.run_block(block, hidden);
  return hidden;
}

at::Tensor plain_prediction(Pass& pass) {
  return pass.head(plain_blocks(pass, 0, pass.blocks().size(), pass.embed()));
}

double relative_error(const Hidden& reused, const Hidden& computed) {
  RelativeL1Sums sums;
  for (std::size_t stream = 0; stream < computed.size(); ++stream) {
    sums += relative_l1_sums(reused[stream], computed[stream]);
  }
  return sums.distance();
}

}  // namespace bw
