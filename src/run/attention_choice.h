// The form of attention of a run, settled on the loaded model. Read kernels/attention.h for the
// forms, branches.h for where the form enters the run.
#pragma once

#include "base/origin.h"
#include "bundle/bundle.h"
#include "run/plan.h"
#include "run/progress.h"

namespace bw {

// "rule" stays. A named form is compared with the shapes of the plan's attention; "auto" is
// replaced by the form that computed them in the least time. Runs the first block of every kind of
// the first evaluation's expert for the shapes. Rejects after the origin a form that does not fit,
// and blocks without an attention whose form could be chosen.
void settle_attention(const Bundle& model, Plan& plan, const Origin& origin, Observer& observer);

}  // namespace bw
