#include "failover_command/decide.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/core/conninfo.h"
#include "common/core/slots.h"

namespace hooks::failover {
namespace {

// The newest primary besides the detached node; of two alike the lower id, so that every pgpool
// means the same one.
const ServerSeen* find_other_primary(const Request& request,
                                     const std::vector<ServerSeen>& servers) {
    const ServerSeen* newest = nullptr;
    for (const ServerSeen& seen : servers) {
        if (seen.backend.id != request.detached && seen.is_primary() &&
            (newest == nullptr || seen.server->timeline > newest->server->timeline ||
             (seen.server->timeline == newest->server->timeline &&
              seen.backend.id < newest->backend.id))) {
            newest = &seen;
        }
    }
    return newest;
}

bool of_one_cluster(const ServerSeen& left, const ServerSeen& right) {
    return left.server->system_identifier == right.server->system_identifier;
}

// A primary of the same cluster whose place `newer` has taken.
bool is_past(const ServerSeen& primary, const ServerSeen& newer) {
    return primary.is_primary() && newer.is_primary() && of_one_cluster(primary, newer) &&
           primary.server->timeline < newer.server->timeline;
}

// A primary whose time is over: a standby already follows a later promotion than its own.
bool is_stale(const ServerSeen& primary, const std::vector<const ServerSeen*>& candidates) {
    return std::any_of(candidates.begin(), candidates.end(), [&](const ServerSeen* standby) {
        return of_one_cluster(*standby, primary) &&
               standby->server->timeline > primary.server->timeline;
    });
}

// "node 1 (b:5432): no answer: timeout; node 2 (c:5432): ..." of everybody but the detached node.
std::string why_nobody(const Request& request, const std::vector<ServerSeen>& servers,
                       const std::vector<Failed>& failed) {
    std::vector<std::string> parts;
    for (const ServerSeen& seen : servers) {
        if (const Failed* f = find_failed(failed, seen.backend.id)) {
            parts.push_back(fmt::format("{}: {}", seen.backend.label(), f->why));
        } else if (seen.backend.id != request.detached) {
            parts.push_back(seen.describe());
        }
    }
    return parts.empty() ? "there is no other node" : fmt::format("{}", fmt::join(parts, "; "));
}

std::string what_would_help(const Request& request, const std::vector<ServerSeen>& servers) {
    for (const ServerSeen& seen : servers) {
        if (seen.backend.id != request.detached && seen.liveness == Liveness::denied &&
            !seen.hint.empty()) {
            return fmt::format("{} Then promote a standby with pcp_promote_node.", seen.hint);
        }
    }
    return "Bring a standby up, or start the old primary again, and attach it with "
           "pcp_attach_node.";
}

Decision promote(const Candidates& candidates, const char* rule, const std::string& why,
                 const std::vector<ServerSeen>& servers, std::optional<Fence> fence = {}) {
    const ServerSeen& best = *candidates.ranked.front();
    const int id = best.backend.id;
    Plan plan{rule,
              fmt::format("{}; {} is the best candidate (timeline {}, WAL up to {}){}", why,
                          best.backend.label(), best.server->timeline, best.server->end_of_wal(),
                          candidates.remarks()),
              {}};
    std::vector<std::string> slots;
    for (const ServerSeen& seen : servers) {
        if (seen.backend.id != id) {
            slots.push_back(slot_name(seen.backend.id));
        }
    }
    if (!slots.empty()) {
        plan.steps.push_back(CreateSlots{id, std::move(slots)});
    }
    if (best.server->replay_paused && best.server->major() < 13) {
        // 13 and later override the pause at promotion; older ones wait for it to end.
        plan.steps.push_back(ResumeReplay{id});
    }
    if (fence) {
        fence->successor = id;
        plan.steps.push_back(*fence);
    }
    plan.steps.push_back(Promote{id});
    return plan;
}

bool has_all(const ServerSeen& candidate, const OldPrimary::End& end) {
    return candidate.server->timeline > end.timeline ||
           (candidate.server->timeline == end.timeline &&
            candidate.server->end_of_wal() >= end.lsn);
}

// The old primary runs no more, and this run looked at its host, and stopped it perhaps.
Decision replace(const ServerSeen& old, const Candidates& candidates,
                 const std::vector<ServerSeen>& servers, const OldPrimary& known) {
    const char* rule = known.answered ? "F04" : "F06";
    const ServerSeen& best = *candidates.ranked.front();
    const std::optional<Fence> fence = Fence{old.backend.id, best.backend.id};
    const std::string was = fmt::format("node {} was the primary", old.backend.id);
    if (!known.stopped) {
        return promote(candidates, rule,
                       fmt::format("{}; its server does not answer, and none runs there, seen {}",
                                   was, known.how),
                       servers, fence);
    }
    const bool may_return = known.answered && known.can_return;
    if (!known.end && may_return) {
        return Plan{
            rule,
            fmt::format("{} and was stopped {}, but {}: whether {} has all of its WAL cannot "
                        "be known, so the old primary stays the primary",
                        was, known.how, known.why_no_end, best.backend.label()),
            {StartAsPrimary{old.backend.id}}};
    }
    if (!known.end) {
        return promote(candidates, rule,
                       fmt::format("{} and was stopped {}, but {}: what it had not sent stays in "
                                   "its files",
                                   was, known.how, known.why_no_end),
                       servers, fence);
    }
    const std::string stopped = fmt::format(
        "{} and was {} {} with WAL up to {}", was,
        known.why_not_clean.empty() ? "shut down" : "stopped (" + known.why_not_clean + ")",
        known.how, known.end->lsn);
    for (const ServerSeen* candidate : candidates.ranked) {
        if (has_all(*candidate, *known.end)) {
            Candidates chosen = candidates;
            chosen.ranked = {candidate};
            return promote(chosen, rule,
                           stopped + ", of which " + candidate->backend.label() + " has all",
                           servers, fence);
        }
    }
    if (!known.waited) {
        return Plan{rule,
                    stopped + ", which nobody has received yet",
                    {WaitForWal{best.backend.id, known.end->timeline, known.end->lsn},
                     LookAgain{best.backend.id}}};
    }
    if (may_return) {
        return Plan{rule,
                    fmt::format("{}, and no standby received all of that; {} has most, up to {}: "
                                "the old primary stays the primary",
                                stopped, best.backend.label(), best.server->end_of_wal()),
                    {StartAsPrimary{old.backend.id}}};
    }
    return promote(candidates, rule,
                   stopped + ", and no standby received all of that: the rest stays in its files",
                   servers, fence);
}

// Where pgpool does not say who was the primary, or the one that it says is a standby, it may be
// another node than the detached one: one that is there and does not let us in, or, for who takes
// no chances, one that does not answer.
const ServerSeen* possible_primary(const Request& request, const std::vector<ServerSeen>& servers,
                                   const Policy& policy, const std::vector<Failed>& failed) {
    for (const ServerSeen& seen : servers) {
        const bool hidden = seen.liveness == Liveness::rejecting ||
                            seen.liveness == Liveness::denied ||
                            (seen.liveness == Liveness::silent &&
                             policy.unfenced_primary == UnfencedPrimary::refuse);
        if (hidden && seen.backend.id != request.detached &&
            !find_failed(failed, seen.backend.id)) {
            return &seen;
        }
    }
    return nullptr;
}

// Who is promoted then would be another primary of the same timeline, and lose what this one wrote.
bool nobody_follows(const ServerSeen& primary, const std::vector<const ServerSeen*>& candidates) {
    return std::none_of(candidates.begin(), candidates.end(), [&](const ServerSeen* standby) {
        return standby->server->timeline >= primary.server->timeline;
    });
}

Decision standby_was_lost(const Request& request, const ServerSeen* primary, const Policy& policy,
                          bool slots_bounded) {
    const std::string slot = slot_name(request.detached);
    if (primary != nullptr && primary->liveness == Liveness::denied) {
        // Nothing was to be done, but the next call may be the one that counts.
        return Refuse{"F08",
                      fmt::format("node {} was a standby; the primary cannot be asked: {}",
                                  request.detached, primary->describe()),
                      primary->hint.empty()
                          ? "Check postgres_user, the passfile and pg_hba.conf of that node."
                          : primary->hint};
    }
    if (primary == nullptr || !primary->is_primary()) {
        return Nothing{"F08", fmt::format("node {} was a standby; the primary does not answer here "
                                          "({}), pgpool calls again if it loses that one too",
                                          request.detached,
                                          primary ? primary->describe() : "not in pgpool.conf")};
    }
    const std::string lost = fmt::format("node {} was a standby, {} is the primary",
                                         request.detached, primary->backend.label());
    if (!lets_slot_go(policy.failed_standby_slot, slots_bounded)) {
        return Nothing{"F02", lost + "; its slot is kept, so that it can come back"};
    }
    return Plan{"F02",
                lost + (policy.failed_standby_slot == FailedStandbySlot::drop
                            ? "; failed_standby_slot = 'drop'"
                            : "; max_slot_wal_keep_size is not set there: a slot kept for a lost "
                              "standby could fill the disk"),
                {DropSlot{primary->backend.id, slot}}};
}

// Who lost its place to the detached node is still up, and pgpool would find that one.
Decision past_beside(const ServerSeen& detached, const ServerSeen& past) {
    return Plan{"F09",
                fmt::format("{} is a primary of the past, on timeline {}, and pgpool detached the "
                            "present one, {}, on timeline {}: the former is shut down, and the "
                            "present one attached again",
                            past.backend.label(), past.server->timeline, detached.backend.label(),
                            detached.server->timeline),
                {StopServer{past.backend.id}, Fence{past.backend.id, detached.backend.id},
                 LookAgain{past.backend.id}}};
}

}  // namespace

const ServerSeen* primary_of_standby(const Request& request,
                                     const std::vector<ServerSeen>& servers) {
    const ServerSeen* primary = find_server(servers, request.old_primary);
    if (primary == nullptr || !primary->is_primary()) {
        if (const ServerSeen* other = find_other_primary(request, servers)) {
            return other;
        }
    }
    return primary;
}

Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const Policy& policy, const std::vector<Failed>& failed, bool slots_bounded,
                const OldPrimary& old_primary) {
    const ServerSeen* detached = find_server(servers, request.detached);
    const ServerSeen* other_primary = find_other_primary(request, servers);

    if (detached != nullptr && other_primary != nullptr) {
        if (is_past(*other_primary, *detached)) {
            return past_beside(*detached, *other_primary);
        }
        if (is_past(*detached, *other_primary)) {
            return Plan{
                "F09",
                fmt::format("{} is a primary of the past, on timeline {}: the primary is "
                            "{}, on timeline {}",
                            detached->backend.label(), detached->server->timeline,
                            other_primary->backend.label(), other_primary->server->timeline),
                {HandOver{request.detached}}};
        }
    }
    const Candidates found = find_candidates(request, servers, policy, failed);
    const auto& candidates = found.ranked;
    if (detached != nullptr && detached->is_primary() && old_primary.past_stopped &&
        !is_stale(*detached, candidates)) {
        return Plan{"F09",
                    fmt::format("{} is the primary, and no other node is one any more",
                                detached->backend.label()),
                    {HandOver{request.detached}}};
    }
    if (!request.detached_was_primary()) {
        return standby_was_lost(request, primary_of_standby(request, servers), policy,
                                slots_bounded);
    }
    const std::uint64_t cluster = common_system_identifier(servers);
    if (other_primary != nullptr && cluster != 0 &&
        other_primary->server->system_identifier != cluster) {
        // Not ours to stop, and pgpool would send clients to it.
        return Refuse{"F03",
                      fmt::format("{} is a primary, but of another cluster than most of the nodes",
                                  other_primary->backend.label()),
                      fmt::format("Look whose server that is. When node {} is out of the way, run "
                                  "pcp_promote_node for the standby that shall be the primary.",
                                  other_primary->backend.id)};
    }
    if (other_primary != nullptr && is_stale(*other_primary, candidates)) {
        // Left alone, it is what pgpool finds when it looks for a primary.
        return Plan{"F04",
                    fmt::format("{} is a primary on timeline {}, which is older than that of the "
                                "standbys: it is shut down before another takes the place of node "
                                "{}",
                                other_primary->backend.label(), other_primary->server->timeline,
                                request.detached),
                    {StopServer{other_primary->backend.id},
                     Fence{other_primary->backend.id, candidates.front()->backend.id},
                     LookAgain{other_primary->backend.id}}};
    }
    if (other_primary != nullptr) {
        // On the same timeline it would be the primary that pgpool did not know (%P unknown).
        return Nothing{
            "F03", fmt::format("{} is already the primary, on timeline {}",
                               other_primary->backend.label(), other_primary->server->timeline)};
    }
    if (cluster != 0 && detached != nullptr && detached->is_primary() &&
        detached->server->system_identifier != cluster) {
        return Refuse{"F03",
                      fmt::format("{} runs as a primary of another cluster than most of the nodes: "
                                  "it is not ours to stop",
                                  detached->backend.label()),
                      fmt::format("Look whose server that is. When it is out of the way, run "
                                  "pcp_promote_node for the standby that shall be the primary.")};
    }
    const bool down = old_primary.stopped || old_primary.host == OldPrimary::Host::down;
    if (candidates.empty() && detached != nullptr && old_primary.stopped && old_primary.answered &&
        old_primary.can_return) {
        return Plan{"F04",
                    fmt::format("node {} was shut down, and nobody can take its place: {}",
                                request.detached, why_nobody(request, servers, failed)),
                    {StartAsPrimary{request.detached}}};
    }
    if (candidates.empty()) {
        if (!found.two_lines.empty()) {
            return Refuse{
                "F07",
                fmt::format("which standby has the cluster's rows is not known: {}",
                            found.two_lines),
                "Look at both, and promote the right one with pcp_promote_node; the other "
                "will be rewound or rebuilt."};
        }
        if (request.main_node < 0) {
            return Nothing{"F01", fmt::format("no node is left to promote: {}",
                                              why_nobody(request, servers, failed))};
        }
        return Refuse{
            "F07",
            fmt::format("no standby can be promoted: {}", why_nobody(request, servers, failed)),
            what_would_help(request, servers)};
    }

    if (request.old_primary < 0 || (detached != nullptr && detached->is_standby())) {
        if (const ServerSeen* other = possible_primary(request, servers, policy, failed)) {
            return Refuse{"F06",
                          fmt::format("{}, and it may be {}",
                                      request.old_primary < 0
                                          ? "pgpool does not know who was the primary"
                                          : fmt::format("{} is a standby, so another node was the "
                                                        "primary",
                                                        detached->backend.label()),
                                      other->describe()),
                          fmt::format("Make sure that node {} is no primary, then run "
                                      "pcp_promote_node for node {}.",
                                      other->backend.id, candidates.front()->backend.id)};
        }
    }

    const std::string not_fenced = old_primary.how.empty() ? "not tried" : old_primary.how;
    const std::string was = fmt::format("node {} was the primary", request.detached);
    if (detached == nullptr) {
        return promote(found, "F05", was + " and is no longer in pgpool.conf", servers);
    }
    if (detached->is_primary() && request.main_node < 0 && !is_stale(*detached, candidates)) {
        return Nothing{"F01", fmt::format("{} runs as the primary, and pgpool has no other node "
                                          "that could take its place: pcp_attach_node brings it "
                                          "back",
                                          detached->backend.label())};
    }
    if (detached->is_primary() && nobody_follows(*detached, candidates)) {
        return Refuse{"F04",
                      fmt::format("{} runs as the primary on timeline {}, and no standby has any "
                                  "WAL of that timeline: it is not stopped",
                                  detached->backend.label(), detached->server->timeline),
                      fmt::format("Run pcp_attach_node for node {}, and pcp_recovery_node for the "
                                  "others.",
                                  request.detached)};
    }
    switch (detached->liveness) {
        case Liveness::serving:
            if (detached->is_standby()) {
                return promote(
                    found, "F05",
                    fmt::format("node {} is in recovery: nobody is the primary", request.detached),
                    servers);
            }
            [[fallthrough]];
        case Liveness::rejecting:
        case Liveness::denied:
            // A shutdown sends its last WAL to the standbys, so nothing is lost; and whatever it
            // is doing now, it must not be a primary beside the new one.
            return Plan{"F04",
                        fmt::format("{} and is still there ({}): it is shut down before another "
                                    "takes its place",
                                    was, detached->describe()),
                        {StopServer{request.detached}, LookAgain{request.detached}}};
        case Liveness::refused:
            if (down) {
                return replace(*detached, found, servers, old_primary);
            }
            if (old_primary.host == OldPrimary::Host::running) {
                return Plan{"F04",
                            fmt::format("{}, and an earlier run that was to stop it did not end; a "
                                        "server runs there, seen {}: it is shut down before "
                                        "another takes its place",
                                        was, old_primary.how),
                            {StopServer{request.detached}, LookAgain{request.detached}}};
            }
            return promote(found, "F05", was + " and does not run", servers);
        case Liveness::silent:
            if (down) {
                return replace(*detached, found, servers, old_primary);
            }
            if (old_primary.host == OldPrimary::Host::running) {
                return Plan{"F06",
                            fmt::format("{} and does not answer, but a server runs there, reached "
                                        "{}: it is shut down before another takes its place",
                                        was, old_primary.how),
                            {StopServer{request.detached}, LookAgain{request.detached}}};
            }
            if (policy.unfenced_primary == UnfencedPrimary::refuse) {
                return Refuse{"F06",
                              fmt::format("{} and cannot be reached ({}); it may still be writable "
                                          "and unfenced_primary is 'refuse'; NOT fenced: {}",
                                          was, detached->detail, not_fenced),
                              fmt::format("Make sure that node {} is down, then run "
                                          "pcp_promote_node for node {}.",
                                          request.detached, candidates.front()->backend.id)};
            }
            return promote(found, "F06", was + " and cannot be reached; NOT fenced: " + not_fenced,
                           servers);
    }
    return Refuse{"F07", "no rule matched", ""};
}

bool promotes(const Decision& decision) {
    const auto* plan = std::get_if<Plan>(&decision);
    return plan != nullptr &&
           std::any_of(plan->steps.begin(), plan->steps.end(),
                       [](const Step& step) { return std::holds_alternative<Promote>(step); });
}

}  // namespace hooks::failover
