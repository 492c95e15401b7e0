#include "common/app/old_primaries.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/app/servers.h"
#include "common/app/worker.h"
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

}  // namespace

void end_old_primaries(const Backend& primary, int target, Env& env, Deadline deadline) {
    std::vector<Backend> others = env.pgpool.backends;
    std::erase_if(others, [&](const Backend& backend) { return backend.id == target; });
    if (others.size() < 2) {
        return;
    }
    const auto look = [&] {
        return old_primaries(seen_of(look_at_servers(others, env, deadline.within(short_look))),
                             primary);
    };
    std::vector<Backend> old = look();
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
