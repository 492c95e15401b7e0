// Positions that stand still while they are compared, and everything put back on every way out.
//
// A primary that nobody reaches from here may still send to its standbys: what the vote compares
// would be old when it is over. Their walreceivers are told to go first, by a primary_conninfo that
// leads nowhere and says so itself (common/core/held_settings.h).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/core/connections.h"
#include "common/core/held_settings.h"
#include "common/io/poll.h"
#include "common/io/signals.h"
#include "failover_command/failover.h"
#include "failover_command/ladder.h"

namespace hooks::failover {

using std::chrono::milliseconds;

namespace {

// The walreceiver of a primary that was killed sees its end in a few milliseconds.
constexpr milliseconds time_to_notice{100};
// How long the startup process may take to end its walreceiver.
constexpr milliseconds time_to_let_go{1000};
// For each node at the end, when the time of the run may be over.
constexpr milliseconds time_to_put_back{2000};

// The startup process looks at its settings between two records; here it waits within one.
bool replay_waits(const ServerFacts& facts) {
    return facts.replay_paused || facts.apply_delay.count() > 0;
}

bool is_held(const ServerFacts& facts) {
    return held_conninfo(facts.primary_conninfo).has_value() ||
           held_restore_command(facts.restore_command).has_value();
}

bool streams_on(PgConnection& standby, TimelineId timeline, Deadline deadline) {
    const auto rows = standby.query(
        fmt::format("SELECT coalesce(status = 'streaming' AND received_tli = {}, false)"
                    " FROM pg_stat_get_wal_receiver()",
                    timeline),
        deadline);
    return rows.at(0).at(0) == "t";
}

}  // namespace

ServerLook* Failover::look_of(int node) {
    const auto it = std::find_if(looks_.begin(), looks_.end(), [node](const ServerLook& look) {
        return look.seen.backend.id == node;
    });
    return it == looks_.end() ? nullptr : &*it;
}

// Over the sessions that are there. What a standby has received it does not lose: of two looks the
// higher position counts, also where a new walreceiver began at the start of a segment.
void Failover::read_candidates_again() {
    for (const int node : standbys()) {
        ServerLook& look = *look_of(node);
        try {
            ServerFacts now = read_candidate_facts(
                *look.connection, env_.deadline.within(env_.config.connect_timeout));
            now.received = std::max(now.received, look.seen.server->received);
            now.replayed = std::max(now.replayed, look.seen.server->replayed);
            look.seen.server = std::move(now);
        } catch (const Error& error) {
            look.seen.liveness = Liveness::silent;
            look.seen.detail = error.what();
            look.seen.server.reset();
            look.connection.reset();
        }
    }
}

// Whether a candidate does at the deadline.
bool Failover::still_receive(Deadline deadline) {
    for (;;) {
        bool receiving = false;
        for (const int node : standbys()) {
            const ServerFacts& facts = *find(node)->server;
            receiving = receiving || (facts.receiving && !(is_held(facts) && replay_waits(facts)));
        }
        if (!receiving || deadline.expired()) {
            return receiving;
        }
        pause_for(milliseconds(5), deadline);
        read_candidates_again();
    }
}

// The way from here may end at something that refuses in its name (a firewall, a proxy), while it
// goes on for others. A standby that still receives from it after the time in which the end of a
// server is seen knows better; then it is as good as silent, and reached for by ssh.
void Failover::doubt_refusal() {
    ServerLook* lost = look_of(request_.detached);
    if (lost == nullptr || lost->seen.liveness != Liveness::refused || old_.stopped ||
        old_.host == OldPrimary::Host::down) {
        return;
    }
    const Backend& backend = lost->seen.backend;
    const auto witness = [&]() -> const ServerSeen* {
        for (const int node : standbys()) {
            const ServerFacts& facts = *find(node)->server;
            // PostgreSQL 10 does not tell from where: anywhere, then, as for the ladder.
            if (facts.receiving &&
                (facts.version < 110000 ||
                 (facts.sender_host == backend.host && facts.sender_port == backend.port))) {
                return find(node);
            }
        }
        return nullptr;
    };
    if (witness() == nullptr || !still_receive(env_.deadline.within(time_to_notice)) ||
        witness() == nullptr) {
        return;
    }
    lost->seen.liveness = Liveness::silent;
    lost->seen.detail = fmt::format("{}, but {} still receives from it", lost->seen.detail,
                                    witness()->backend.label());
    env_.log.warn("the old primary refuses connections from here and goes on for its standbys",
                  {{"node", std::to_string(request_.detached)}, {"why", lost->seen.detail}});
    if (old_.host == OldPrimary::Host::unknown) {
        Ladder ladder(backend, env_, false);
        look_at_the_host(ladder);
    }
}

bool Failover::stand_still() {
    const ServerSeen* lost = find(request_.detached);
    const bool cut_off = lost != nullptr && lost->liveness == Liveness::silent;
    if (!still_receive(env_.deadline.within(cut_off ? milliseconds(0) : time_to_notice))) {
        return true;
    }
    const auto ids = standbys();
    if (ids.empty() || !lock_standbys(ids.front())) {
        return ids.empty();
    }
    env_.timings.measure("hold_receivers", [&] { hold_receivers(); });
    return true;
}

void Failover::hold_receivers() {
    for (const int node : standbys()) {
        ServerLook& look = *look_of(node);
        const auto warn = [&](const std::string& why) {
            env_.log.warn("its walreceiver is not stopped for the vote",
                          {{"node", std::to_string(node)}, {"why", why}});
        };
        if (look.seen.server->major() < 13) {
            warn("below PostgreSQL 13 that takes a restart");
            continue;
        }
        held_.insert(node);  // before: whether an order that was interrupted was obeyed is unknown
        try {
            if (!hold_receiver(*look.connection,
                               env_.deadline.within(env_.config.connect_timeout))) {
                warn("its primary_conninfo or restore_command cannot be changed for a moment");
            }
        } catch (const Error& error) {
            warn(error.what());
        }
    }
    read_candidates_again();
    const bool moving = still_receive(env_.deadline.within(time_to_let_go));
    read_candidates_again();
    env_.log.info("walreceivers stopped for the vote",
                  {{"nodes", fmt::format("{}", fmt::join(held_, ","))},
                   {"stands_still", moving ? "no" : "yes"}});
}

// Its old primary may be alive, and would send it WAL that the new one does not have.
bool Failover::follows_the_new_primary(int node) {
    const ServerLook* look = look_of(node);
    const ServerLook* source = look_of(promoted_);
    if (node == promoted_ || source == nullptr || look == nullptr || !look->connection ||
        !look->seen.server || look->seen.server->major() < 13 ||
        !held_conninfo(look->seen.server->primary_conninfo) ||
        look->seen.server->end_of_wal() > source->seen.server->end_of_wal()) {
        return false;
    }
    const auto candidates = find_candidates(request_, seen_of(looks_), policy_, {}).ranked;
    if (std::none_of(candidates.begin(), candidates.end(),
                     [node](const ServerSeen* seen) { return seen->backend.id == node; })) {
        return false;
    }
    const Conninfo present =
        Conninfo::parse(conninfo_without_hold(look->seen.server->primary_conninfo));
    const Conninfo conninfo = primary_conninfo_for(
        look->seen.backend, source->seen.backend, env_.config, present, look->seen.server->major());
    repoint(*look->connection, conninfo.str(), slot_name(node), Deadline::after(time_to_put_back));
    env_.log.info("re-pointed to the new primary", {{"node", std::to_string(node)}});
    if (!held_restore_command(look->seen.server->restore_command)) {
        return true;
    }
    // Before it streams on the new timeline it would ask its archive for that one's history, and
    // may sit there for long.
    const Deadline patience = Deadline::after(time_to_let_go);
    while (!streams_on(*look->connection, promoted_timeline_, patience)) {
        if (patience.expired()) {
            env_.log.warn("its restore_command is held until it follows",
                          {{"node", std::to_string(node)}});
            return true;
        }
        pause_for(milliseconds(5), patience);
    }
    release_restore_command(*look->connection, patience);
    return true;
}

void Failover::put_back(int node) {
    if (promoted_ >= 0 && follows_the_new_primary(node)) {
        done_ += fmt::format("; node {} was told to follow it", node);
        return;
    }
    const Deadline deadline = Deadline::after(time_to_put_back);
    std::unique_ptr<PgConnection> session;
    ServerLook* look = look_of(node);
    PgConnection* server = look != nullptr ? look->connection.get() : nullptr;
    if (server == nullptr) {
        session = PgConnection::connect(inspection_conninfo(backend(node), env_.config), env_.hook,
                                        deadline);
        server = session.get();
    }
    lock_promotion(*server, deadline);  // unless another run is about to promote: it puts back too
    if (node != asked_) {
        settle_synchronous(node, *server, deadline);
    }
    if (server->major_version() < 12) {
        Target target = target_of(node);
        release_restore_command_in_file(target, deadline);
        return;
    }
    if (release_settings(*server, deadline)) {
        env_.log.info("settings put back", {{"node", std::to_string(node)}});
    }
}

void Failover::put_everything_back() noexcept {
    try {
        if (env_.dry_run) {
            return;
        }
        const FinishFirst finish_first;
        for (const ServerLook& look : looks_) {
            if (look.seen.server &&
                (is_held(*look.seen.server) || !look.seen.server->synchronous_held.empty())) {
                held_.insert(look.seen.backend.id);  // of a run that was killed, or an earlier one
            }
        }
        for (const int node : with_slots_) {
            if (node == promoted_ || node == asked_) {
                continue;
            }
            try {
                drop_slots_of_no_promotion(node, Deadline::after(time_to_put_back));
            } catch (const Error& error) {
                env_.log.warn("slots that were made for a promotion stay on a standby",
                              {{"node", std::to_string(node)}, {"why", error.what()}});
            }
        }
        for (const int node : held_) {
            try {
                put_back(node);
            } catch (const Error& error) {
                env_.log.warn("what was held is not put back; the next run does it",
                              {{"node", std::to_string(node)},
                               {"why", error.what()},
                               {"next", error.hint()}});
            }
        }
    } catch (...) {
        // Whatever is left says itself what it was.
    }
}

}  // namespace hooks::failover
