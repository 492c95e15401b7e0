// Can this node follow that primary, and if not as it is, what makes it able to?
//
// One set of rules for every hook that re-points, repairs or rebuilds a standby. pg_rewind's exit
// status 0 proves nothing (it is 0 for "no rewind required", also where that is wrong), so the
// question is answered here, before anything is touched.
#pragma once

#include <optional>
#include <string>

#include "common/core/control_data.h"
#include "common/core/facts.h"
#include "common/core/plan.h"
#include "common/core/timeline.h"

namespace hooks {

// The primary that shall be followed: the source of a rewind or a base backup.
struct SourceFacts {
    int node = 0;
    int major = 0;
    bool in_recovery = false;
    std::uint64_t system_identifier = 0;
    TimelineHistory history;
    Lsn flushed;
    bool full_page_writes = false;
    // The first byte of the oldest segment in its pg_wal.
    Known<Lsn> oldest_wal;
    // Looked at only when a rewind is in question: the server walks all its files for the first.
    Known<std::uint64_t> data_size{};  // bytes in all databases
    Known<std::uint64_t> wal_size{};   // bytes in its pg_wal
};

// The node that shall follow: the target.
struct TargetFacts {
    int node = 0;
    bool data_directory = true;      // it holds a PG_VERSION
    std::string foreign_files;       // of a directory that is neither empty nor a cluster's
    bool unfinished_marker = false;  // of a rewind or a base backup that did not end
    bool running = false;            // its postmaster is there
    bool serving = false;            // and answered in SQL
    int major = 0;
    Known<std::uint64_t> system_identifier;
    // It could be written to on its timeline: a primary, or what one left behind.
    Known<bool> was_primary;
    Known<TimelineHistory> history;
    Known<Lsn> end_of_wal;  // end of the last WAL record that it has or could still replay
    // Its own WAL can be read from where it will be replayed on. If not, all of that has to come
    // from the source.
    bool wal_readable = true;
    // Of a running standby: it replayed up to here all that it has; what it received beyond is half
    // a record, of which the rest was never sent.
    std::optional<Lsn> replay_stands_at;
    bool reload_possible = true;  // ALTER SYSTEM is allowed there, and to us where only some may
    Known<Lsn> on_disk;           // no page of it is newer than this
    Known<Lsn> redo;              // where it reads WAL from at its next start
    Known<ControlData> control;   // of a stopped one
    Known<bool> pg_rewind_installed;

    TimelineId timeline() const { return history->timeline(); }
};

struct RejoinPolicy {
    bool base_backup = true;
    bool stop_running_primary = true;  // rejoin_old_primary
    // recovery_1st_stage: another cluster in the target directory is what a base backup is for,
    // and starting, proving and attaching are pgpool's next steps, not ours.
    bool online_recovery = false;
    // What an attempt to rewind came back with: it is not tried again.
    std::string rewind_obstacle;
    bool backup_in_place = false;  // the forecast says so
};

enum class RejoinAction { wait, refuse, stop_and_look_again, follow, trim, rewind, base_backup };

struct RejoinVerdict {
    std::string rule;  // "R08"
    RejoinAction action = RejoinAction::refuse;
    std::string reason;
    std::string next;  // for a refusal
    // WAL that the target has and the source does not: lost by a rewind or a base backup.
    std::optional<std::pair<Lsn, Lsn>> diverged;
    std::optional<Lsn> switchpoint;
};

// Bytes that go over the network, at most.
struct CopyEstimate {
    std::uint64_t rewind = 0;
    std::uint64_t base_backup = 0;
};
// nullopt where the sizes of the source were not looked at.
std::optional<CopyEstimate> estimate_copies(const SourceFacts& source, const TargetFacts& target,
                                            Lsn fork);
// A rewind keeps the node's own files and asks less of the source; it must cost nearly as much as
// a base backup before that is the better choice.
bool rewind_costs_too_much(const CopyEstimate& estimate);

// First match wins; the table with its sources is docs/decisions.md.
RejoinVerdict judge_rejoin(const SourceFacts& source, const TargetFacts& target,
                           const RejoinPolicy& policy);

// Of a running standby that was re-pointed to the source and does not stream: why it never will,
// empty where it may. Rules R01 and R04, which wait or refuse, are no such reason.
std::string reason_not_to_wait(const SourceFacts& source, const TargetFacts& target);

// The verdict as steps.
Decision plan_rejoin(const RejoinVerdict& verdict, const SourceFacts& source,
                     const TargetFacts& target, const RejoinPolicy& policy);

}  // namespace hooks
