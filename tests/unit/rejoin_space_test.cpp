// Products of small sets of facts, and what holds for every decision about them. Known throws when
// a rule takes an unknown fact for an answer, so that cannot go unseen either.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

struct World {
    SourceFacts s;
    TargetFacts t;
    RejoinPolicy policy;
};

const std::vector<const char*> ends = {"0/4FFFFF8", "0/5000000", "0/5000008", "0/6000000",
                                       "0/6000008"};

RejoinPolicy pick_policy(Pick& pick) {
    RejoinPolicy policy;
    policy.base_backup = pick.yes_or_no();
    policy.stop_running_primary = pick.yes_or_no();
    policy.online_recovery = pick.yes_or_no();
    return policy;
}

template <class T>
std::vector<Known<T>> or_unknown(std::vector<T> values) {
    std::vector<Known<T>> all(values.begin(), values.end());
    all.push_back(Unknown{"X"});
    return all;
}

// One at a time: they do not depend on each other.
enum class Obstacle { none, no_hints, no_full_pages, tried, not_installed, installed_unknown };

void place(Obstacle obstacle, World& w) {
    ControlData control = *w.t.control;
    control.wal_log_hints = obstacle != Obstacle::no_hints;
    w.t.control = control;
    w.s.full_page_writes = obstacle != Obstacle::no_full_pages;
    w.policy.rewind_obstacle = obstacle == Obstacle::tried ? "it was tried and failed" : "";
    w.t.pg_rewind_installed = obstacle == Obstacle::installed_unknown
                                  ? Known<bool>(Unknown{"X"})
                                  : Known<bool>(obstacle != Obstacle::not_installed);
}

// Stopped, of the same cluster: the histories and what a rewind needs.
bool make_stopped(std::size_t index, World& w) {
    static const std::vector<TimelineHistory> histories = {
        TimelineHistory::parse(1, ""),
        TimelineHistory::parse(2, switched_at_5),
        TimelineHistory::parse(2, "1\t0/4FFFFF8\t\n"),
        TimelineHistory::parse(3, switched_at_5 + "2\t0/5000008\t\n"),
        TimelineHistory::parse(3, switched_at_5 + "2\t0/6000008\t\n"),
        TimelineHistory::parse(3, "1\t0/4000000\t\n"),
        TimelineHistory::parse(4, "")};
    static const std::vector<Obstacle> obstacles = {
        Obstacle::none,  Obstacle::no_hints,      Obstacle::no_full_pages,
        Obstacle::tried, Obstacle::not_installed, Obstacle::installed_unknown};
    static const auto pages =
        or_unknown<Lsn>({lsn("0/4800000"), lsn("0/5000000"), lsn("0/5000008")});
    static const auto redo = or_unknown<Lsn>({lsn("0/4000028"), lsn("0/5000008")});
    static const auto oldest = or_unknown<Lsn>({lsn("0/1000000"), lsn("0/5000001")});
    static const World plain{source(), stopped_primary("0/5000000"), {}};
    Pick pick(index);
    w = plain;
    w.policy = pick_policy(pick);
    w.t.history = pick.of(histories);
    w.t.end_of_wal = lsn(pick.of(ends));
    w.t.was_primary = pick.yes_or_no();
    w.t.on_disk = pick.of(pages);
    w.t.redo = pick.of(redo);
    w.t.wal_readable = pick.yes_or_no();
    w.t.control =
        control_of(pick.yes_or_no() ? ClusterState::in_production : ClusterState::shut_down);
    w.s.oldest_wal = pick.of(oldest);
    place(pick.of(obstacles), w);
    return !pick.overflowed();
}

// Whatever else can be there: running, of another cluster or version, without a directory, unknown.
bool make_any(std::size_t index, World& w) {
    static const auto identifiers = or_unknown<std::uint64_t>({this_cluster, other_cluster});
    static const auto primary = or_unknown<bool>({false, true});
    static const auto histories = or_unknown<TimelineHistory>({TimelineHistory::parse(1, "")});
    static const auto end = or_unknown<Lsn>({lsn("0/5000000"), lsn("0/5000008")});
    struct Process {
        bool running;
        bool serving;
        bool source_in_recovery;
    };
    static const std::vector<Process> processes = {
        {false, false, false}, {true, false, false}, {true, true, false}, {false, false, true}};
    enum class Missing { nothing, control, pages, redo };
    static const std::vector<Missing> all_missing = {Missing::nothing, Missing::control,
                                                     Missing::pages, Missing::redo};
    static const World plain{source(), TargetFacts{}, {}};
    Pick pick(index);
    w = plain;
    w.policy = pick_policy(pick);
    const Process process = pick.of(processes);
    w.t.running = process.running;
    w.t.serving = process.serving;
    w.s.in_recovery = process.source_in_recovery;
    w.t.data_directory = pick.yes_or_no();
    w.t.unfinished_marker = pick.yes_or_no();
    w.t.reload_possible = pick.yes_or_no();
    w.t.major = pick.of(std::vector{15, 14, 12});
    w.s.major = w.t.major == 12 ? 12 : 15;
    w.t.system_identifier = pick.of(identifiers);
    w.t.was_primary = pick.of(primary);
    w.t.history = pick.of(histories);
    w.t.end_of_wal = pick.of(end);
    const Missing missing = pick.of(all_missing);
    const auto position = [&](Missing which) {
        return missing == which ? Known<Lsn>(Unknown{"X"}) : Known<Lsn>(lsn("0/4000028"));
    };
    w.t.on_disk = position(Missing::pages);
    w.t.redo = position(Missing::redo);
    if (missing != Missing::control) {
        w.t.control = control_of(ClusterState::shut_down);
    }
    w.t.pg_rewind_installed = true;
    return !pick.overflowed();
}

bool everything_known(const World& w) {
    const TargetFacts& t = w.t;
    return w.s.oldest_wal && t.system_identifier && t.was_primary && t.history && t.end_of_wal &&
           t.control && t.on_disk && t.redo;
}

bool same_identifier(const World& w) {
    return w.t.system_identifier && *w.t.system_identifier == w.s.system_identifier;
}

bool same_cluster(const World& w) {
    return w.t.major == w.s.major && same_identifier(w);
}

// Of what a running or stopped target was asked to do to its files.
std::string defect_of_files(const World& w, const Plan& plan) {
    const bool rewind = has<Rewind>(plan.steps);
    const bool trim = has<TrimWal>(plan.steps);
    const bool backup = has<BaseBackup>(plan.steps);
    if (w.t.running) {
        return "changes the files of a server that runs";
    }
    if (backup && !w.policy.base_backup) {
        return "makes a base backup against the policy";
    }
    if (rewind || trim) {
        if (!everything_known(w) || !same_cluster(w) || w.t.unfinished_marker ||
            !w.t.data_directory) {
            return "changes files of which it does not know enough";
        }
    }
    if (backup && !w.policy.online_recovery && w.t.data_directory && !w.t.unfinished_marker &&
        (!everything_known(w) || !same_cluster(w))) {
        return "replaces files of which it does not know enough";
    }
    if (!w.policy.online_recovery && (rewind || backup) && w.t.data_directory &&
        !w.t.unfinished_marker && same_identifier(w) && w.t.history) {
        const TimelineEntry& theirs = w.s.history.entries().back();
        const TimelineEntry* common = w.t.history->find(theirs.timeline);
        if (common != nullptr && common->end && common->begin == theirs.begin) {
            return "makes a primary of the past the source";
        }
    }
    if (rewind && (!w.t.control->rewind_possible() || !w.s.full_page_writes ||
                   !w.policy.rewind_obstacle.empty() || !w.t.pg_rewind_installed ||
                   !*w.t.pg_rewind_installed)) {
        return "rewinds where pg_rewind cannot";
    }
    if ((rewind || backup) && w.t.data_directory && everything_known(w) && same_cluster(w) &&
        !w.t.unfinished_marker) {
        const auto ancestor = common_ancestor(*w.t.history, w.s.history);
        if (ancestor && ancestor->end && *w.t.end_of_wal > *ancestor->end &&
            !has<RescueWal>(plan.steps)) {
            return "loses WAL without keeping it";
        }
    }
    const auto common =
        rewind ? common_ancestor(*w.t.history, w.s.history) : std::optional<CommonAncestor>();
    if (common && !w.s.history.find(common->timeline)->end && *common->end > w.s.flushed) {
        return "rewinds to where the source never was";
    }
    if (rewind && has<SettleCrash>(plan.steps) == w.t.control->shut_down_cleanly()) {
        return "settles a crash that was none, or not one that was";
    }
    if (trim) {
        const auto& step = std::get<TrimWal>(plan.steps.at(1));
        if (*w.t.was_primary || *w.t.on_disk > step.from || *w.s.oldest_wal > step.from ||
            (!w.t.wal_readable && *w.s.oldest_wal > *w.t.redo)) {
            return "trims WAL that is not to be trimmed";
        }
    }
    return "";
}

// Of R06: written down a second time, as the servers themselves check it.
std::string defect_of_following(const World& w) {
    const TargetFacts& t = w.t;
    if (!t.system_identifier || !t.history || !t.end_of_wal || !t.was_primary || !same_cluster(w)) {
        return "follows without knowing whom";
    }
    const TimelineEntry& mine = t.history->entries().back();
    const TimelineEntry* theirs = w.s.history.find(mine.timeline);
    if (theirs == nullptr || theirs->begin != mine.begin) {
        return "follows on another history";
    }
    const Lsn limit = theirs->end.value_or(w.s.flushed);
    if (*t.end_of_wal > limit || (*t.was_primary && (!theirs->end || *t.end_of_wal != limit))) {
        return "follows with WAL that the source does not have";
    }
    if (!w.s.oldest_wal || *w.s.oldest_wal > (t.wal_readable ? *t.end_of_wal : *t.redo)) {
        return "follows where the WAL in between is gone";
    }
    if (t.unfinished_marker && !t.running) {
        return "starts what a rewind left unfinished";
    }
    return "";
}

std::string defect_of_plan(const World& w, const Plan& plan) {
    if (const auto defect = order_defect(plan)) {
        return *defect;
    }
    if (w.s.in_recovery) {
        return "follows a node that is no primary";
    }
    if (has<LookAgain>(plan.steps)) {
        const bool was_primary = w.t.was_primary && *w.t.was_primary;
        const bool foreign =
            w.t.system_identifier ? !same_identifier(w) : was_primary || !w.t.serving;
        const bool told_not_to = was_primary && !w.policy.stop_running_primary;
        return outline(plan) != "stop look_again" || !w.t.running || foreign || told_not_to
                   ? "stops a server that is not to be stopped"
                   : "";
    }
    const auto* slots = std::get_if<CreateSlots>(&plan.steps.front());
    if (slots == nullptr || slots->node != w.s.node ||
        slots->slots != std::vector<std::string>{"pgpool_node_0"}) {
        return "does not begin with the slot";
    }
    if (w.policy.online_recovery) {
        if (has<StartServer>(plan.steps) || has<ProveStreaming>(plan.steps) ||
            has<AttachNode>(plan.steps) || has<Repoint>(plan.steps)) {
            return "does what pgpool does next";
        }
    } else if (!std::holds_alternative<AttachNode>(plan.steps.back())) {
        return "leaves the node detached";
    }
    if (has<Rewind>(plan.steps) || has<TrimWal>(plan.steps) || has<BaseBackup>(plan.steps)) {
        return defect_of_files(w, plan);
    }
    const bool quick = has<Repoint>(plan.steps);
    if (quick !=
        (w.t.running && w.s.major >= 13 && w.t.reload_possible && !w.policy.online_recovery)) {
        return "restarts for nothing, or does not where it must";
    }
    if (w.t.running && !quick && !has<StopServer>(plan.steps)) {
        return "writes the settings of a server that runs";
    }
    return defect_of_following(w);
}

std::string defect_of(const World& w, const RejoinVerdict& verdict, const Decision& decision) {
    if (reason_of(decision).empty() || rule_of(decision) != verdict.rule) {
        return "gives no reason";
    }
    if (const auto* refuse = std::get_if<Refuse>(&decision)) {
        return refuse->next.empty() ? "refuses without a word of what to do" : "";
    }
    if (verdict.action == RejoinAction::rewind && !verdict.switchpoint) {
        return "rewinds to nowhere";
    }
    return defect_of_plan(w, std::get<Plan>(decision));
}

std::string text_of(const World& w) {
    const auto known = [](const auto& fact) { return std::string(fact ? "known" : "unknown"); };
    return "running " + std::to_string(w.t.running) + " serving " + std::to_string(w.t.serving) +
           " directory " + std::to_string(w.t.data_directory) + " identifier " +
           known(w.t.system_identifier) + " history " + known(w.t.history) + " end " +
           (w.t.end_of_wal ? to_string(*w.t.end_of_wal) : "unknown") + " online " +
           std::to_string(w.policy.online_recovery);
}

// The rules that occurred.
std::set<std::string> walk(bool (*make)(std::size_t, World&)) {
    std::set<std::string> rules;
    World w{source(), TargetFacts{}, {}};
    int defects = 0;
    for (std::size_t index = 0; make(index, w) && defects < 5; ++index) {
        std::string defect;
        std::string decided;
        try {
            const RejoinVerdict verdict = judge_rejoin(w.s, w.t, w.policy);
            const Decision decision = plan_rejoin(verdict, w.s, w.t, w.policy);
            rules.insert(verdict.rule);
            defect = defect_of(w, verdict, decision);
            decided = defect.empty() ? "" : to_string(decision);
        } catch (const std::exception& error) {
            defect = std::string("throws ") + error.what();
        }
        if (!defect.empty()) {
            ++defects;
            ADD_FAILURE() << defect << "\n" << text_of(w) << "\n" << decided;
        }
    }
    return rules;
}

TEST(RejoinSpace, OfStoppedNodesHasNoUnsafeDecision) {
    EXPECT_EQ(walk(make_stopped),
              (std::set<std::string>{"R01", "R04", "R05", "R06", "R07", "R08", "R09", "R10"}));
}

TEST(RejoinSpace, OfAllNodesHasNoUnsafeDecision) {
    EXPECT_EQ(walk(make_any), (std::set<std::string>{"R01", "R02", "R03", "R04", "R06", "R07",
                                                     "R08", "R09", "R10", "R11"}));
}

}  // namespace
}  // namespace hooks
