// What is asked of pgpool itself.
#pragma once

#include "common/app/env.h"

namespace hooks {

// Attaches the node and waits until pgpool shows it; with pgpool.conf's and hooks.conf's settings
// for PCP. Throws Error{unreachable} or Error{timeout}.
void attach_node(int node_id, Env& env, Deadline deadline);

}  // namespace hooks
