#include "common/core/rejoin.h"

#include <fmt/format.h>

namespace hooks {
namespace {

RejoinVerdict verdict(std::string rule, RejoinAction action, std::string reason,
                      std::string next = {}) {
    RejoinVerdict v;
    v.rule = std::move(rule);
    v.action = action;
    v.reason = std::move(reason);
    v.next = std::move(next);
    return v;
}

// R09 where a base backup is allowed, else R10.
RejoinVerdict base_backup_or_refuse(const RejoinPolicy& policy, const char* rule,
                                    const std::string& reason, const std::string& node) {
    if (policy.base_backup) {
        return verdict(rule, RejoinAction::base_backup, reason);
    }
    return verdict("R10", RejoinAction::refuse, reason + "; base_backup = 'never'",
                   fmt::format("Set base_backup = 'keep_old' in hooks.conf and run "
                               "pcp_recovery_node for {}.",
                               node));
}

const char* first_unknown(const SourceFacts& s, const TargetFacts& t, std::string& why) {
    const auto check = [&why](const auto& known, const char* what) -> const char* {
        if (known) {
            return nullptr;
        }
        why = known.why();
        return what;
    };
    if (const char* what = check(t.system_identifier, "its system identifier")) {
        return what;
    }
    if (const char* what = check(t.was_primary, "whether it was a primary")) {
        return what;
    }
    if (const char* what = check(t.history, "its timeline history")) {
        return what;
    }
    if (const char* what = check(t.end_of_wal, "the end of its WAL")) {
        return what;
    }
    if (const char* what = check(s.oldest_wal, "the oldest WAL that its primary has")) {
        return what;
    }
    if (!t.running) {
        if (const char* what = check(t.control, "its control file")) {
            return what;
        }
        if (const char* what = check(t.on_disk, "the newest page on its disk")) {
            return what;
        }
        if (const char* what = check(t.redo, "its redo position")) {
            return what;
        }
    }
    return nullptr;
}

// WAL from `fork` on, where that is known, is in nobody's hands but the target's.
RejoinVerdict losing(RejoinVerdict v, const TargetFacts& t, Lsn fork) {
    if (fork.valid() && *t.end_of_wal > fork) {
        v.diverged = std::pair(fork, *t.end_of_wal);
    }
    return v;
}

// Both nodes on the same timeline number. pg_rewind calls all of these "no rewind required".
std::optional<RejoinVerdict> judge_same_timeline(const SourceFacts& s, const TargetFacts& t,
                                                 const RejoinPolicy& policy) {
    const TimelineEntry& mine = t.history->entries().back();
    const TimelineEntry& theirs = s.history.entries().back();
    const auto ancestor = common_ancestor(*t.history, s.history);
    const Lsn fork = ancestor && ancestor->end ? *ancestor->end : Lsn{};
    if (mine.begin != theirs.begin) {
        return losing(base_backup_or_refuse(
                          policy, "R05",
                          fmt::format("{} and {} were both promoted to timeline {}, at {} and {}: "
                                      "pg_rewind cannot tell them apart",
                                      node_name(t.node), node_name(s.node), mine.timeline,
                                      mine.begin, theirs.begin),
                          node_name(t.node)),
                      t, fork);
    }
    if (t.history->entries() != s.history.entries()) {
        // pg_rewind compares the two numbers, and is content.
        return losing(base_backup_or_refuse(
                          policy, "R05",
                          fmt::format("{} and {} came to timeline {} from different timelines: "
                                      "pg_rewind cannot tell them apart",
                                      node_name(t.node), node_name(s.node), mine.timeline),
                          node_name(t.node)),
                      t, fork);
    }
    if (*t.was_primary) {
        return losing(base_backup_or_refuse(
                          policy, "R05",
                          fmt::format("{} was itself writable on timeline {}, which {} writes",
                                      node_name(t.node), mine.timeline, node_name(s.node)),
                          node_name(t.node)),
                      t, mine.begin);
    }
    if (*t.end_of_wal > s.flushed) {
        return losing(
            base_backup_or_refuse(
                policy, "R05",
                fmt::format("{} has WAL up to {} on timeline {}, ahead of {}, which is at {}",
                            node_name(t.node), *t.end_of_wal, mine.timeline, node_name(s.node),
                            s.flushed),
                node_name(t.node)),
            t, s.flushed);
    }
    return std::nullopt;
}

RejoinVerdict judge_diverged(const SourceFacts& s, const TargetFacts& t, const RejoinPolicy& policy,
                             std::optional<Lsn> fork) {
    const std::string where =
        fork ? fmt::format(
                   "{} diverged: it has WAL up to {} on timeline {}, {} left that "
                   "history at {}",
                   node_name(t.node), *t.end_of_wal, t.timeline(), node_name(s.node), *fork)
             : fmt::format("{} is on timeline {}, which is not in the history of {}",
                           node_name(t.node), t.timeline(), node_name(s.node));
    std::string obstacle;
    if (!fork) {
        obstacle = "the two have no timeline in common";
    } else if (t.running) {
        // Judged once it is stopped: a running server's files say little.
    } else if (!t.control->rewind_possible()) {
        obstacle = "neither wal_log_hints nor data checksums are on";
    } else if (!s.full_page_writes) {
        obstacle = fmt::format("full_page_writes is off on {}", node_name(s.node));
    } else if (!policy.rewind_obstacle.empty()) {
        obstacle = policy.rewind_obstacle;
    } else if (!t.pg_rewind_installed || !*t.pg_rewind_installed) {
        obstacle = "pg_rewind is not installed there";
    } else if (*s.oldest_wal > std::min(*t.redo, *fork)) {
        obstacle = fmt::format("{} no longer has the WAL from {} on that it would need",
                               node_name(s.node), std::min(*t.redo, *fork));
    }
    std::string cost;
    const auto estimate = fork && !t.running ? estimate_copies(s, t, *fork) : std::nullopt;
    if (estimate) {
        constexpr std::uint64_t mebibyte = 1024 * 1024;
        cost = fmt::format("a rewind copies up to {} MiB, a base backup {} MiB",
                           estimate->rewind / mebibyte, estimate->base_backup / mebibyte);
        if (obstacle.empty() && policy.base_backup && rewind_costs_too_much(*estimate)) {
            obstacle = cost;
        }
    }
    RejoinVerdict v;
    if (obstacle.empty()) {
        v = verdict("R08", RejoinAction::rewind, cost.empty() ? where : where + "; " + cost);
    } else {
        v = base_backup_or_refuse(policy, "R09", where + "; no rewind: " + obstacle,
                                  node_name(t.node));
    }
    v.switchpoint = fork;
    return losing(std::move(v), t, fork.value_or(Lsn{}));
}

// Promoted, or a standby of one that was, from the timeline that the source is still on.
bool is_of_the_future(const SourceFacts& s, const TargetFacts& t) {
    if (!t.history || t.timeline() <= s.history.timeline() || !t.system_identifier ||
        *t.system_identifier != s.system_identifier) {
        return false;
    }
    const TimelineEntry* common = t.history->find(s.history.timeline());
    return common != nullptr && common->begin == s.history.entries().back().begin;
}

RejoinVerdict judge_histories(const SourceFacts& s, const TargetFacts& t,
                              const RejoinPolicy& policy) {
    const bool same_timeline = t.timeline() == s.history.timeline();
    if (same_timeline) {
        if (auto v = judge_same_timeline(s, t, policy)) {
            return *v;
        }
    }
    const auto ancestor = common_ancestor(*t.history, s.history);
    if (!same_timeline && ancestor && ancestor->timeline == s.history.timeline() && ancestor->end &&
        *ancestor->end > s.flushed) {
        // pg_rewind does not look where the source's WAL ends: it would take the fork for common
        // ground, and keep every page that the target changed between the two.
        return losing(base_backup_or_refuse(
                          policy, "R05",
                          fmt::format("{} left timeline {} at {}, ahead of {}, which is at {}",
                                      node_name(t.node), ancestor->timeline, *ancestor->end,
                                      node_name(s.node), s.flushed),
                          node_name(t.node)),
                      t, s.flushed);
    }
    const TimelineEntry* stretch = s.history.find(t.timeline());
    const bool in_history = stretch != nullptr && ancestor && ancestor->timeline == t.timeline();
    Lsn end = *t.end_of_wal;
    if (stretch != nullptr && t.replay_stands_at && t.replay_stands_at == stretch->end) {
        end = *t.replay_stands_at;
    }

    const Lsn needed = t.wal_readable ? end : *t.redo;

    if (!in_history) {
        const std::optional<Lsn> fork = ancestor ? ancestor->end : std::nullopt;
        return judge_diverged(s, t, policy, fork);
    }
    if (!same_timeline) {
        const Lsn fork = *stretch->end;
        if (end > fork) {
            // What is trimmed must come again from the source; where it cannot, R09 is left.
            const bool refetchable = *s.oldest_wal <= std::min(fork, needed);
            if (!*t.was_primary && t.on_disk && *t.on_disk <= fork && refetchable) {
                auto v = verdict("R07", RejoinAction::trim,
                                 fmt::format("{} received WAL up to {} but wrote nothing newer "
                                             "than the switchpoint {} to its data files",
                                             node_name(t.node), end, fork));
                v.switchpoint = fork;
                return v;
            }
            return judge_diverged(s, t, policy, fork);
        }
        // A standby may well have received less. A primary that has less than its standby got from
        // it lost WAL that it had flushed, and what it wrote over it since cannot be known.
        if (*t.was_primary && end < fork) {
            return base_backup_or_refuse(
                policy, "R05",
                fmt::format("{} was the primary up to {}, but its WAL ends at {}: it lost WAL "
                            "that it had sent",
                            node_name(t.node), fork, end),
                node_name(t.node));
        }
    }
    // Streaming begins at the start of a segment, whatever the position.
    if (*s.oldest_wal > needed) {
        return base_backup_or_refuse(
            policy, "R09",
            fmt::format("{} needs WAL from {} on, the oldest on {} is {}", node_name(t.node),
                        needed, node_name(s.node), *s.oldest_wal),
            node_name(t.node));
    }
    auto v =
        verdict("R06", RejoinAction::follow,
                same_timeline
                    ? fmt::format("{} is on timeline {} of {}, at {}", node_name(t.node),
                                  t.timeline(), node_name(s.node), end)
                    : fmt::format("the WAL of {} ends at {}, at or before the switchpoint {} of {}",
                                  node_name(t.node), end, *stretch->end, node_name(s.node)));
    v.switchpoint = stretch->end;
    return v;
}

}  // namespace

std::string reason_not_to_wait(const SourceFacts& source, const TargetFacts& target) {
    const RejoinVerdict now = judge_rejoin(source, target, RejoinPolicy{});
    switch (now.action) {
        case RejoinAction::wait:
        case RejoinAction::refuse:
        case RejoinAction::follow:
            return "";
        case RejoinAction::stop_and_look_again:
        case RejoinAction::trim:
        case RejoinAction::rewind:
        case RejoinAction::base_backup:
            return now.reason;
    }
    return "";
}

RejoinVerdict judge_rejoin(const SourceFacts& s, const TargetFacts& t, const RejoinPolicy& policy) {
    if (s.in_recovery) {
        return verdict(
            "R04", RejoinAction::wait,
            fmt::format("{} is still in recovery: it is no primary to follow", node_name(s.node)));
    }
    // Before everything that stops a server, whatever else is or is not known of it.
    if (t.running && t.system_identifier && *t.system_identifier != s.system_identifier) {
        return verdict("R02", RejoinAction::refuse,
                       fmt::format("a server of another cluster runs on {}", node_name(t.node)),
                       "Look whose server that is: it is not touched.");
    }
    if (t.running && !t.serving) {
        if (!policy.stop_running_primary && t.was_primary && *t.was_primary) {
            return verdict("R10", RejoinAction::refuse,
                           fmt::format("a former primary is coming up on {} and rejoin_old_primary "
                                       "is off",
                                       node_name(t.node)),
                           fmt::format("Stop the server of {}; then run pcp_recovery_node.",
                                       node_name(t.node)));
        }
        if (!t.system_identifier) {
            return verdict(
                "R02", RejoinAction::refuse,
                fmt::format("a server that lets nobody in runs on {}, and it is not known of which "
                            "cluster: {}",
                            node_name(t.node), t.system_identifier.why()),
                fmt::format("Look whose server that is; if it is this cluster's, stop it, then run "
                            "pcp_recovery_node for {}.",
                            node_name(t.node)));
        }
        return verdict(
            "R11", RejoinAction::stop_and_look_again,
            fmt::format("the server of {} runs but does not let anybody in", node_name(t.node)));
    }
    if (!t.running && !t.data_directory && !t.foreign_files.empty()) {
        return verdict(
            "R02", RejoinAction::refuse,
            fmt::format("what stands in the place of the data directory of {} is none: it holds {}",
                        node_name(t.node), t.foreign_files),
            fmt::format("Check its backend_data_directory in pgpool.conf; if it is right, move "
                        "these files away, then run pcp_recovery_node for {}.",
                        node_name(t.node)));
    }
    if (!t.running && t.unfinished_marker) {
        return base_backup_or_refuse(
            policy, "R03",
            fmt::format("a rewind of {} did not end: its files are of two clusters",
                        node_name(t.node)),
            node_name(t.node));
    }
    if (!t.running && !t.data_directory) {
        return base_backup_or_refuse(
            policy, "R09",
            fmt::format("{} has no data directory with a PG_VERSION", node_name(t.node)),
            node_name(t.node));
    }
    if (!policy.online_recovery && is_of_the_future(s, t)) {
        // Pgpool may call with a primary that a later failover left behind: rows that were
        // acknowledged since are on the target, and perhaps nowhere else.
        return verdict(
            "R04", RejoinAction::refuse,
            fmt::format("{} is on timeline {}, which began after the one of {}: it is {} that "
                        "is out of date",
                        node_name(t.node), t.timeline(), node_name(s.node), node_name(s.node)),
            fmt::format("If {} shall be the primary all the same, and what {} has since then may "
                        "go, run pcp_recovery_node for {}.",
                        node_name(s.node), node_name(t.node), node_name(t.node)));
    }
    if (t.running && t.was_primary && *t.was_primary) {
        if (!policy.stop_running_primary) {
            return verdict("R10", RejoinAction::refuse,
                           fmt::format("{} runs as a second primary and rejoin_old_primary is "
                                       "off",
                                       node_name(t.node)),
                           fmt::format("Stop the server of {}; then run pcp_recovery_node.",
                                       node_name(t.node)));
        }
        if (!t.system_identifier) {
            return verdict(
                "R02", RejoinAction::refuse,
                fmt::format("a primary runs on {}, and it is not known of which cluster: {}",
                            node_name(t.node), t.system_identifier.why()),
                "Look whose server that is: it is not touched.");
        }
        return verdict("R11", RejoinAction::stop_and_look_again,
                       fmt::format("{} runs as a second primary", node_name(t.node)));
    }
    if (t.running && t.unfinished_marker) {
        // Somebody started it all the same. Not stopped where nothing could be made of it then.
        RejoinVerdict v = base_backup_or_refuse(
            policy, "R11",
            fmt::format("{} runs, and a rewind of it did not end: its files may be of two clusters",
                        node_name(t.node)),
            node_name(t.node));
        if (v.action == RejoinAction::base_backup) {
            v.action = RejoinAction::stop_and_look_again;
        }
        return v;
    }
    if (t.major != s.major) {
        if (policy.online_recovery && !t.running) {
            return base_backup_or_refuse(
                policy, "R09",
                fmt::format("{} holds a cluster of PostgreSQL {}, {} runs {}", node_name(t.node),
                            t.major, node_name(s.node), s.major),
                node_name(t.node));
        }
        return verdict("R01", RejoinAction::refuse,
                       fmt::format("{} holds a cluster of PostgreSQL {}, {} runs {}",
                                   node_name(t.node), t.major, node_name(s.node), s.major),
                       "Upgrade one of them, or rebuild the node with pcp_recovery_node.");
    }
    std::string why;
    if (const char* what = first_unknown(s, t, why)) {
        // A directory that nobody can make sense of is what online recovery replaces.
        if (policy.online_recovery && !t.running) {
            return base_backup_or_refuse(
                policy, "R09", fmt::format("{}: {} is not known: {}", node_name(t.node), what, why),
                node_name(t.node));
        }
        const std::string reason =
            fmt::format("{}: {} is not known: {}", node_name(t.node), what, why);
        if (policy.online_recovery) {
            return verdict("R11", RejoinAction::stop_and_look_again, reason);
        }
        return verdict(
            "R01", RejoinAction::refuse, reason,
            fmt::format("Run pcp_recovery_node for {} to rebuild it.", node_name(t.node)));
    }
    if (*t.system_identifier != s.system_identifier) {
        const std::string reason = fmt::format(
            "{} holds another cluster (system identifier {}, {} has {})", node_name(t.node),
            *t.system_identifier, node_name(s.node), s.system_identifier);
        if (policy.online_recovery) {
            return base_backup_or_refuse(policy, "R02", reason, node_name(t.node));
        }
        return verdict(
            "R02", RejoinAction::refuse, reason,
            fmt::format(
                "Check its backend_data_directory in pgpool.conf; run pcp_recovery_node for {} if "
                "that cluster may go.",
                node_name(t.node)));
    }
    RejoinVerdict v = judge_histories(s, t, policy);
    if (t.running && v.action != RejoinAction::follow && v.action != RejoinAction::refuse) {
        v.action = RejoinAction::stop_and_look_again;
    }
    return v;
}

}  // namespace hooks
