// A source and a target for the tests of the rejoin rules: node 1 was promoted from timeline 1 to
// 2 at 0/5000000, and node 0 has the whole of timeline 1.
#pragma once

#include <string>

#include "tests/unit/decision_support.h"

namespace hooks {

inline const std::string switched_at_5 = "1\t0/5000000\tno recovery target specified\n";

inline SourceFacts source() {
    return {1,
            15,
            false,
            this_cluster,
            TimelineHistory::parse(2, switched_at_5),
            lsn("0/6000000"),
            true,
            lsn("0/1000000")};
}

inline ControlData control_of(ClusterState state) {
    ControlData control;
    control.system_identifier = this_cluster;
    control.state = state;
    control.wal_log_hints = true;
    control.wal_segment_size = 16 * 1024 * 1024;
    return control;
}

inline TargetFacts stopped_primary(const char* end_of_wal) {
    TargetFacts t;
    t.node = 0;
    t.major = 15;
    t.system_identifier = this_cluster;
    t.was_primary = true;
    t.history = TimelineHistory::parse(1, "");
    t.end_of_wal = lsn(end_of_wal);
    t.on_disk = lsn(end_of_wal);
    t.redo = lsn("0/4000028");
    t.control = control_of(ClusterState::shut_down);
    t.pg_rewind_installed = true;
    return t;
}

inline TargetFacts stopped_standby(const char* end_of_wal, const char* on_disk = "0/4500000") {
    TargetFacts t = stopped_primary(end_of_wal);
    t.was_primary = false;
    t.on_disk = lsn(on_disk);
    t.control = control_of(ClusterState::shut_down_in_recovery);
    return t;
}

// What SQL tells; its files were not looked at.
inline TargetFacts running_standby(const char* end_of_wal) {
    TargetFacts t;
    t.node = 0;
    t.running = true;
    t.serving = true;
    t.major = 15;
    t.system_identifier = this_cluster;
    t.was_primary = false;
    t.history = TimelineHistory::parse(1, "");
    t.end_of_wal = lsn(end_of_wal);
    return t;
}

// base_backup = 'never'; recovery_1st_stage; both; rejoin_old_primary = off.
inline const RejoinPolicy never{false, true, false, ""};
inline const RejoinPolicy online{true, true, true, ""};
inline const RejoinPolicy online_never{false, true, true, ""};
inline const RejoinPolicy no_rejoin{true, false, false, ""};

inline const char* to_string(RejoinAction action) {
    switch (action) {
        case RejoinAction::wait:
            return "wait";
        case RejoinAction::refuse:
            return "refuse";
        case RejoinAction::stop_and_look_again:
            return "stop and look again";
        case RejoinAction::follow:
            return "follow";
        case RejoinAction::trim:
            return "trim";
        case RejoinAction::rewind:
            return "rewind";
        case RejoinAction::base_backup:
            return "base backup";
    }
    return "?";
}

// "R06 follow"
inline std::string judge(const SourceFacts& s, const TargetFacts& t,
                         const RejoinPolicy& policy = {}) {
    const RejoinVerdict verdict = judge_rejoin(s, t, policy);
    return verdict.rule + " " + to_string(verdict.action);
}
inline std::string judge(const TargetFacts& t, const RejoinPolicy& policy = {}) {
    return judge(source(), t, policy);
}

inline std::string reason(const TargetFacts& t, const RejoinPolicy& policy = {}) {
    return judge_rejoin(source(), t, policy).reason;
}

inline Decision decide_rejoin(const SourceFacts& s, const TargetFacts& t,
                              const RejoinPolicy& policy = {}) {
    return plan_rejoin(judge_rejoin(s, t, policy), s, t, policy);
}

}  // namespace hooks
