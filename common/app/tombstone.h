// Fencing the files of a node, and taking that back. See common/core/tombstone.h.
#pragma once

#include "common/app/node_steps.h"
#include "common/core/tombstone.h"

namespace hooks {

// What was found when the tombstone was to be written, in one look together with the writing.
enum class Grave {
    written,  // or one was there already
    standby,  // whoever starts this directory gets a standby: none is needed
    running,  // a server runs: nothing can be written that it would mind
    nothing,  // no data directory
};
// Atomically (temporary file, sync, rename, sync), and only over a former primary that is not
// running. Throws Error{command}.
Grave bury(Target& target, Tombstone tombstone, Env& env, Deadline deadline);

// Only a tombstone goes, no other recovery.conf. Throws Error{command}.
void exhume(Target& target, Deadline deadline);

}  // namespace hooks
