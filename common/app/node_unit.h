// The systemd unit of a node's server: what is asked of it, for node_server.cpp.
#pragma once

#include <string>
#include <vector>

#include "common/app/node_steps.h"
#include "common/core/server_control.h"

namespace hooks {

ServerLayout layout_of(const Target& target);
// With PGDATA in its environment.
Outcome run_control(Target& target, const std::vector<std::string>& words, Deadline deadline);

// Looks again, for a few seconds, while systemd does not answer whether there is a unit; then
// throws Error{refused}. Nothing where start_command is set, which is what is started then.
void know_unit(Target& target, Deadline deadline);

// Half a minute at the longest, and then as if it had succeeded: what systemd was asked for goes on
// without us. A unit that is active without any server is stopped first: a start of it would have
// no effect. Throws Error{refused} where systemd lets nobody.
Outcome start_by_unit(Target& target, Env& env, Deadline deadline);
// `command` asks for the stop, and returns when the unit has stopped. Where all that the unit does
// is to send a signal, the server gets the one for a fast shutdown as well.
Outcome stop_by_unit(Target& target, const ControlCommand& command, Deadline deadline);
// Returns when the stop is under way, for a server that is to be killed: a unit may restart it.
// systemd wakes one that SIGSTOP stopped; until it is killed it may go on, as it might at any time.
void begin_stop_of_unit(Target& target, Deadline deadline);

}  // namespace hooks
