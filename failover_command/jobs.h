// What failover_command leaves to a worker, because pgpool and its clients wait for the hook.
#pragma once

#include "common/app/env.h"

namespace hooks::failover {

// env.job is
//   attach  the old primary is the primary again and pgpool, which detached it, shall take it back
//   fence   the old primary is down, or was not reached: it shall not come up as a primary again
// Blocks until that is done or has become needless, at most follow_timeout.
Verdict run_job(const Arguments& words, Env& env);

}  // namespace hooks::failover
