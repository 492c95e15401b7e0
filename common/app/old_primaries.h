// Primaries of the past that still run.
#pragma once

#include "common/app/env.h"

namespace hooks {

// Whenever a node is attached, pgpool looks for the primary and takes the last node that is out of
// recovery (4.3, find_primary_node(); with detach_false_primary it may know better). One of an
// older timeline than `primary`, cut off for a while, say, would get the clients. So it is stopped
// first: by a worker that makes it a standby. Blocks for half a second where a node is silent, else
// until such a primary is gone. Throws Error{refused} when it stays. `target`, which was just seen to
// stream from `primary`, needs no slot on any standby: one that is there and not in use is dropped.
void end_old_primaries(const Backend& primary, int target, Env& env, Deadline deadline);

}  // namespace hooks
