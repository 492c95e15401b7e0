// Starting a standby and seeing it stream.
#pragma once

#include "common/app/node_steps.h"
#include "common/app/servers.h"

namespace hooks {

// Starts the server unless it runs. Returns before it lets anybody in.
void bring_up(Target& target, int major, Env& env, Deadline deadline);

// Waits until the server lets us in (its crash recovery may take a while; one that gave up is
// noticed at once), then prove_streaming(), with its `look`. An Error ends with the end of the
// server's log.
Proof prove_standby(Target& target, PgConnection& primary, Env& env, Deadline deadline,
                    const std::function<void(PgConnection& standby)>& look = {});

// After the proof: what it made for the other nodes when it was promoted, or was about to be, and
// a restore_command that is held since a failover. A failure is a warning.
void settle_standby(PgConnection& standby, const Backend& backend, Env& env, Deadline deadline);

// After the proof: synchronous_standby_names that a failover relaxed, on the primary where enough
// standbys stream now, and on a standby that was no primary. For the verdict: "; ...", or nothing.
// A failure is a warning.
std::string settle_synchronous(PgConnection& primary, PgConnection& standby, Env& env,
                               Deadline deadline);

}  // namespace hooks
