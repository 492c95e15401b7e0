// failover_command: what to do about a node that pgpool detached. Rules F01 to F09.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/core/plan.h"
#include "common/core/server_facts.h"
#include "failover_command/candidates.h"

namespace hooks::failover {

// What is known of the detached node beyond what its server answered, and what this run did to it.
struct OldPrimary {
    enum class Host { unknown, running, down };  // whether a server runs there, seen on the host
    Host host = Host::unknown;
    std::string how;        // "by ssh through node 2"; of an unknown one, what was tried
    bool stopped = false;   // by this run
    bool answered = false;  // before that: pgpool can reach it, and it can be attached again
    // The end of all WAL that it ever wrote: stopped as a primary.
    struct End {
        TimelineId timeline = 0;
        Lsn lsn;
    };
    std::optional<End> end;
    std::string why_no_end;
    std::string why_not_clean;  // empty: it was shut down, and sent what its standbys took
    bool waited = false;        // the candidates had their time to receive all of that
    bool restored = false;      // by this run: it is the primary again
    bool can_return = false;    // nobody was asked to take its place yet
    // By this run: a primary of the past was stopped, beside which the detached node is the
    // primary.
    bool past_stopped = false;
};

// Whose standby the detached node was; nullptr when it is not in pgpool.conf.
const ServerSeen* primary_of_standby(const Request& request,
                                     const std::vector<ServerSeen>& servers);

// `servers`: one entry for every backend of pgpool.conf. `slots_bounded`: whether that primary has
// max_slot_wal_keep_size set (F02 only).
Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const Policy& policy, const std::vector<Failed>& failed = {},
                bool slots_bounded = false, const OldPrimary& old_primary = {});

bool promotes(const Decision& decision);

}  // namespace hooks::failover
