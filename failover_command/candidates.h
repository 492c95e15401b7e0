// Which standbys could take the place of the lost primary, and which of them is the best.
#pragma once

#include <string>
#include <vector>

#include "common/core/config.h"
#include "common/core/server_facts.h"
#include "failover_command/request.h"

namespace hooks::failover {

struct Policy {
    CandidateChoice candidate = CandidateChoice::most_advanced;
    UnfencedPrimary unfenced_primary = UnfencedPrimary::promote;
    FailedStandbySlot failed_standby_slot = FailedStandbySlot::keep_if_bounded;
};

// What was learned on the way: candidates whose promotion failed for certain, each with what came
// back. They are not asked again.
struct Failed {
    int node = 0;
    std::string why;
};
const Failed* find_failed(const std::vector<Failed>& failed, int node);

// The cluster that most of the servers belong to; 0 when two are as frequent. The dead primary
// cannot be asked, and a standby of some other cluster must not be promoted.
std::uint64_t common_system_identifier(const std::vector<ServerSeen>& servers);

struct Candidates {
    std::vector<const ServerSeen*> ranked;    // best first; empty when two lines are as frequent
    std::vector<const ServerSeen*> left_out;  // of a history that is no prefix of the others'
    std::string two_lines;                    // names both, when it is not known which one counts
    // Synchronous replication is on, and commits that were acknowledged may be on none of these.
    std::string rows_may_be_missing;

    // For the reason of a decision: who was left out, and what may be missing.
    std::string remarks() const;
};

// Candidates are standbys of this cluster without the detached node and without those that failed.
// They must be on one line of history: each a prefix of the longest, with no WAL behind the point
// where it goes on. Best first: not short of the primary's settings (its promotion would end in a
// shutdown), not delayed, the highest timeline, the most WAL, a synchronous standby, replay not
// paused, %m, the lowest id. With candidate = 'pgpool', %m comes first.
Candidates find_candidates(const Request& request, const std::vector<ServerSeen>& servers,
                           const Policy& policy, const std::vector<Failed>& failed);

// That fewer standbys are there that could follow the new primary as they are than must confirm a
// commit, by the setting that it has or, where that is relaxed, is meant to have: no commit would
// return. Empty otherwise. `left_out`: those of another history.
std::string nobody_can_confirm(const ServerSeen& promoted, const std::vector<ServerSeen>& servers,
                               const std::vector<const ServerSeen*>& left_out);
constexpr const char* go_on_without_confirmation =
    "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();";

// The same, only who.
std::vector<const ServerSeen*> rank_candidates(const Request& request,
                                               const std::vector<ServerSeen>& servers,
                                               const Policy& policy,
                                               const std::vector<Failed>& failed);

}  // namespace hooks::failover
