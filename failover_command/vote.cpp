// Who could take over, and that nobody else decides at the same time.
#include <algorithm>

#include "common/app/node_lock.h"
#include "common/app/slot_ledger.h"
#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {

using std::chrono::milliseconds;

void lock_promotion(PgConnection& standby, Deadline deadline) {
    lock_node(standby, promotion_lock, deadline);
}

// Of this cluster, lowest id first.
std::vector<int> Failover::standbys() const {
    const auto servers = seen_of(looks_);
    std::vector<int> ids;
    for (const ServerSeen* seen : rank_candidates(request_, servers, policy_, {})) {
        ids.push_back(seen->backend.id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

// Two pgpools that look at different moments may find different candidates the best. So the
// lock is taken on every standby, always in the same order, and what counts is seen under it.
bool Failover::lock_standbys(int chosen) {
    for (const int node : standbys()) {
        PgConnection& standby = *connection_to(looks_, node);
        const Deadline share = env_.deadline.within(env_.config.connect_timeout);
        try {
            lock_promotion(standby, share);
            if (!read_server_facts(standby, share).in_recovery) {
                return false;  // another run promoted it since we looked
            }
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::refused) {
                who_promotes_ = error.message();
                env_.log.info("another run promotes a node; looking again",
                              {{"node", std::to_string(node)}, {"who", error.message()}});
                pause_for(milliseconds(100), env_.deadline);
                return false;
            }
            if (node == chosen) {
                return candidate_failed(node, error.what());
            }
            env_.log.warn("a standby was lost since it was looked at",
                          {{"node", std::to_string(node)}, {"why", error.what()}});
        }
    }
    return true;
}

// It refused connections when it was looked at, and the locks came later. Meanwhile another run
// that had them may have started it again (F04), or its init system.
bool Failover::old_primary_is_back() {
    const ServerSeen* old = find(request_.detached);
    if (old == nullptr || old->liveness != Liveness::refused) {
        return false;
    }
    const auto now = look_at_servers({old->backend}, env_);
    if (now.front().seen.liveness == Liveness::refused) {
        return false;
    }
    env_.log.warn(
        "the old primary refuses no more, looking again",
        {{"node", std::to_string(request_.detached)}, {"is", now.front().seen.describe()}});
    return true;
}

// Slots first: with the promotion comes a checkpoint, and with that the WAL that the other
// nodes need may go. Missing slots cost a base backup later, a missing primary costs more.
bool Failover::prepare(const CreateSlots& step) {
    if (!lock_standbys(step.node) || old_primary_is_back()) {
        return false;
    }
    PgConnection& candidate = *connection_to(looks_, step.node);
    with_slots_.insert(step.node);
    try {
        make_slots({candidate, backend(step.node), find(step.node)->server->system_identifier},
                   step.slots, "before its promotion", env_,
                   env_.deadline.within(env_.config.connect_timeout));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::sql) {
            return candidate_failed(step.node, error.what());
        }
        env_.log.warn("no slots for the other nodes, which may need a base backup later",
                      {{"node", std::to_string(step.node)}, {"why", error.what()}});
    }
    return true;
}

// Nobody would use them, and they would keep its WAL until the disk is full.
void Failover::drop_slots_of_no_promotion(int node, Deadline deadline) {
    PgConnection* standby = connection_to(looks_, node);
    std::unique_ptr<PgConnection> session;
    if (standby == nullptr) {
        session = PgConnection::connect(inspection_conninfo(backend(node), env_.config), env_.hook,
                                        deadline);
        standby = session.get();
    }
    if (standby->value("SELECT pg_is_in_recovery()", deadline) == "t") {
        clear_standby_of_slots({*standby, backend(node)}, env_, deadline);
    }
}

}  // namespace hooks::failover
