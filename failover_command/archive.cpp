// A restore_command must not hold up a promotion, nor end it.
//
// Asked to promote, a server first asks its archive for more WAL and for the next timeline. With
// an archive on the lost host that takes as long as scp tries, and when it ends with an exit status
// above 125, as ssh does, the server shuts down (seen with 15; xlogarchive.c). So it is held before
// the promotion. Where that is too late, or takes a restart (12 and 13), the server is started anew
// without it: to kill that command would end the server all the same.
#include <fmt/format.h>

#include <algorithm>

#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {

using std::chrono::milliseconds;

bool may_use_an_archive(const ServerFacts& candidate) {
    return candidate.major() < 12 || !candidate.restore_command.empty();
}

void Failover::hold_archive(int node) {
    const ServerFacts& facts = *find(node)->server;
    if (facts.restore_command.empty() || facts.major() < 14) {
        return;
    }
    held_.insert(node);
    try {
        if (hold_restore_command(*connection_to(looks_, node),
                                 env_.deadline.within(env_.config.connect_timeout))) {
            env_.log.info("its restore_command is held until it is promoted",
                          {{"node", std::to_string(node)}});
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::sql) {
            throw;
        }
        env_.log.warn("its restore_command could not be held",
                      {{"node", std::to_string(node)}, {"why", error.what()}});
    }
}

// The same process, half a second apart: what asks quickly and often holds nothing up.
bool Failover::sits_in_restore_command(Target& target) {
    const Deadline deadline = promotion_deadline();
    const auto before = restore_commands_running(target, deadline);
    if (before.empty()) {
        return false;
    }
    pause_for(milliseconds(500), deadline);
    const auto now = restore_commands_running(target, deadline);
    return std::any_of(now.begin(), now.end(), [&](const std::string& pid) {
        return std::find(before.begin(), before.end(), pid) != before.end();
    });
}

Promotion Failover::watch_archive(int node, Promotion so_far) {
    const ServerFacts before = *find(node)->server;
    const Deadline deadline = promotion_deadline();
    while (so_far.end == Promotion::End::pending && !deadline.expired()) {
        try {
            Target target = target_of(node);
            look_at_files(target, before.major(), deadline);
            // Not running: such a command has ended it.
            if (!target.report.running || sits_in_restore_command(target)) {
                return restart_without_archive(target);
            }
        } catch (const Error& error) {
            env_.log.warn("whether a restore_command holds up the promotion could not be seen",
                          {{"node", std::to_string(node)}, {"why", error.what()}});
            return wait_for_promotion(*connection_to(looks_, node), before.timeline, deadline);
        }
        so_far = wait_for_promotion(*connection_to(looks_, node), before.timeline,
                                    deadline.within(patience_with_archive));
    }
    return so_far;
}

Promotion Failover::restart_without_archive(Target& target) {
    const int node = target.backend.id;
    const ServerFacts before = *find(node)->server;
    const Deadline deadline = promotion_deadline();
    env_.log.warn("a restore_command holds up the promotion: its server is started without it",
                  {{"node", std::to_string(node)}});
    stop_server(target, env_, deadline);
    held_.insert(node);
    hold_restore_command_in_file(target, before.restore_command, deadline);
    start_server(target, env_, deadline, StartWhere::anywhere);
    Promotion promotion;
    promotion.detail = "it was started without its restore_command and is not back";
    while (!deadline.expired()) {
        ServerLook now = std::move(look_at_servers({target.backend}, env_).front());
        if (now.seen.server) {
            ServerLook& look = *look_of(node);
            look.connection = std::move(now.connection);  // the facts stay: those of the vote
            try {
                lock_promotion(*look.connection, deadline);
            } catch (const Error& error) {
                promotion.end = Promotion::End::not_begun;
                promotion.detail = error.what();
                return promotion;
            }
            return before.major() >= 12
                       ? promote(*look.connection, before.timeline, deadline)
                       : promote_by_pg_ctl(node, *look.connection, before.timeline, deadline);
        }
        promotion.detail = now.seen.describe();
        pause_for(milliseconds(20), deadline);
    }
    return promotion;
}

}  // namespace hooks::failover
