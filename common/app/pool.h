// What is asked of pgpool itself.
#pragma once

#include "common/app/env.h"

namespace hooks {

// Attaches the node and waits until pgpool shows it; with pgpool.conf's and hooks.conf's settings
// for PCP. Throws Error{unreachable} or Error{timeout}.
void attach_node(int node_id, Env& env, Deadline deadline);

// Brings the primary into a pgpool that takes another node for it: waits until pgpool's loop of
// follow_primary_command is over, in which it looks for no primary; attaches the node if it is
// down, and tells pgpool that it is the primary if pgpool does not find out. Nothing is done when
// it knows by then. Throws as attach_node() does.
void attach_primary(int node_id, Env& env, Deadline deadline);
// The same, when pgpool shows it as down. One question to pgpool where it does not.
void know_primary(int node_id, Env& env, Deadline deadline);

}  // namespace hooks
