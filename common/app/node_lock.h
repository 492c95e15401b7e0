// One run at a time works on a node: an advisory lock on the primary, held by a session and gone
// with it.
#pragma once

#include "common/app/env.h"
#include "common/core/deadline.h"
#include "common/io/pg_connection.h"

namespace hooks {

// For promotions there is one lock on each standby, whichever node is promoted; node ids are never
// negative.
constexpr int promotion_lock = -1;

// How long a server keeps the lock of a holder whose host went silent: its session asks for that.
constexpr std::chrono::seconds lock_outlives_its_host{15};

// Throws Error{refused} that says who holds it, from where and since when.
void lock_node(PgConnection& server, int node_id, Deadline deadline);
// The same, but waits for a holder to end until `patience`; says once for whom it waits.
void wait_for_lock(PgConnection& server, int node_id, Env& env, Deadline patience,
                   Deadline deadline);

// A condition in SQL: no other session holds that lock. It is taken until the statement ends.
std::string nobody_holds(int node_id);

}  // namespace hooks
