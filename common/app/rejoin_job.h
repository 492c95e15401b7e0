// Making one node a standby of the primary, whatever it takes: look, judge, act, look again.
//
// Used by the worker of follow_primary_command, which starts, proves and attaches the node, and by
// recovery_1st_stage, which leaves it stopped with its settings in place.
#pragma once

#include "common/app/env.h"
#include "common/app/servers.h"

namespace hooks {

struct RejoinJob {
    Backend source;  // the primary, as the target shall reach it
    Backend target;
    bool online_recovery = false;
    // A host that cannot be reached is waited for until follow_timeout: an old primary that is
    // rebooting comes back as a standby by itself.
    bool wait_for_host = false;
};

// Holds the node's lock for the whole time. Blocks until done: hours for a base backup of
// terabytes. Throws Error{refused} when another run holds the node; with `wait_for_host` only when
// it still does at follow_timeout. Throws Error{refused} also when the source is found to be the
// primary no longer, before the next effect.
Verdict run_rejoin(const RejoinJob& job, Env& env);

}  // namespace hooks
