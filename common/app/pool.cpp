#include "common/app/pool.h"

#include <fmt/format.h>

#include "common/io/pcp.h"
#include "common/io/poll.h"
#include "common/io/siblings.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Between two calls of its loop pgpool does nothing but fork.
constexpr milliseconds quiet_enough{2500};
// Pgpool looks once a second.
constexpr seconds search_patience{3};

Pcp pcp_of(const Env& env) {
    PcpOptions options;
    options.host = env.config.pcp_host;
    options.port = env.config.pcp_port != 0 ? env.config.pcp_port : env.pgpool.pcp_port;
    options.user = env.config.pcp_user;
    options.passfile = env.config.pcp_passfile;
    options.bin_dir = env.config.pcp_bin_dir;
    return Pcp(std::move(options));
}

void wait_for_the_end_of_the_follow_loop(Deadline deadline) {
    Deadline quiet = Deadline::after(quiet_enough);
    while (!quiet.expired() && !deadline.expired()) {
        if (sibling_runs("--worker")) {
            quiet = Deadline::after(quiet_enough);
        }
        pause_for(milliseconds(50), deadline);
    }
}

// Pgpool restarts its PCP process after each change of a node: what fails is asked again.
bool becomes_primary(const Pcp& pcp, int node_id, Deadline deadline) {
    for (;;) {
        try {
            if (pcp.node_status(node_id, deadline) != PoolStatus::down &&
                pcp.shows_primary(node_id, deadline)) {
                return true;
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::unreachable && error.kind() != ErrorKind::timeout) {
                throw;
            }
        }
        if (deadline.expired()) {
            return false;
        }
        pause_for(milliseconds(200), deadline);
    }
}

}  // namespace

void attach_node(int node_id, Env& env, Deadline deadline) {
    pcp_of(env).attach_and_wait(node_id, deadline);
}

void know_primary(int node_id, Env& env, Deadline deadline) {
    if (pcp_of(env).node_status(node_id, deadline) == PoolStatus::down) {
        env.log.warn("pgpool shows the primary as down", {{"node", std::to_string(node_id)}});
        attach_primary(node_id, env, deadline);
    }
}

void attach_primary(int node_id, Env& env, Deadline deadline) {
    const Pcp pcp = pcp_of(env);
    wait_for_the_end_of_the_follow_loop(deadline);
    if (pcp.node_status(node_id, deadline) == PoolStatus::down) {
        pcp.attach_and_wait(node_id, deadline);
    }
    // With a node that comes up pgpool looks for the primary; with one that is up already it does
    // not, and must be told.
    if (becomes_primary(pcp, node_id, deadline.within(search_patience))) {
        return;
    }
    pcp.take_for_primary(node_id, deadline);
    if (!becomes_primary(pcp, node_id, deadline.within(search_patience * 2))) {
        throw Error(ErrorKind::timeout,
                    fmt::format("pgpool does not take node {} for the primary", node_id),
                    fmt::format("When no follow_primary_command runs any more: pcp_promote_node "
                                "for node {}, without --switchover.",
                                node_id));
    }
}

}  // namespace hooks
