#include "common/app/old_primaries.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/app/node_lock.h"
#include "common/app/servers.h"
#include "common/app/slot_ledger.h"
#include "common/app/worker.h"
#include "common/core/conninfo.h"
#include "common/io/poll.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Who is silent for so long gets no clients from pgpool either.
constexpr milliseconds short_look{500};
constexpr seconds patience_with_the_worker{20};

std::vector<Backend> old_primaries(const std::vector<ServerSeen>& seen, const Backend& primary) {
    std::vector<Backend> found;
    const ServerSeen* present = find_server(seen, primary.id);
    for (const ServerSeen& other : seen) {
        if (present != nullptr && present->is_primary() && other.is_primary() &&
            other.server->system_identifier == present->server->system_identifier &&
            other.server->timeline < present->server->timeline) {
            found.push_back(other.backend);
        }
    }
    return found;
}

// The old primary that came back before this node was re-pointed has served it once more, and so
// kept its slot when its own were cleared. Not on one that is about to be promoted, which has been
// given that slot just now. A failure is a warning: it only keeps WAL back.
void drop_slot_on_standbys(std::vector<ServerLook>& looks, int target, Env& env,
                           Deadline deadline) {
    for (ServerLook& look : looks) {
        if (!look.connection || !look.seen.is_standby()) {
            continue;
        }
        try {
            drop_slot_noted(
                {*look.connection, look.seen.backend, look.seen.server->system_identifier},
                slot_name(target), "its node streams from the primary", env, deadline,
                promotion_lock);
        } catch (const Error& error) {
            env.log.warn("a slot on a standby is not dropped and keeps WAL back",
                         {{"node", std::to_string(look.seen.backend.id)},
                          {"slot", slot_name(target)},
                          {"why", error.what()}});
        }
    }
}

}  // namespace

void end_old_primaries(const Backend& primary, int target, Env& env, Deadline deadline) {
    std::vector<Backend> others = env.pgpool.backends;
    std::erase_if(others, [&](const Backend& backend) { return backend.id == target; });
    if (others.size() < 2) {
        return;
    }
    std::vector<ServerLook> looks;
    const auto look = [&] {
        looks = look_at_servers(others, env, deadline.within(short_look));
        return old_primaries(seen_of(looks), primary);
    };
    std::vector<Backend> old = look();
    drop_slot_on_standbys(looks, target, env, deadline);
    for (const Backend& backend : old) {
        env.log.warn("a primary of the past runs: before anybody is attached it is stopped",
                     {{"node", std::to_string(backend.id)}});
        if (wants_rejoin(env)) {
            spawn_rejoin_worker(env, backend, primary);
        }
    }
    const Deadline patience = deadline.within(patience_with_the_worker);
    while (!old.empty()) {
        if (patience.expired() || !wants_rejoin(env)) {
            throw Error(ErrorKind::refused,
                        fmt::format("{} runs as a primary of the past; pgpool might take it for "
                                    "the primary when node {} is attached",
                                    old.front().label(), target),
                        fmt::format("Stop its server, then run pcp_attach_node for node {} and "
                                    "pcp_recovery_node for node {}.",
                                    target, old.front().id));
        }
        pause_for(milliseconds(200), patience);
        old = look();
    }
}

}  // namespace hooks
