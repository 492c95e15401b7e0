// What one look at a node's files told: the script that is run there, and its output as a struct.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/control_data.h"
#include "common/core/facts.h"
#include "common/core/rejoin.h"

namespace hooks {

// Of a rewind that did not end.
enum class RewindState {
    copying,    // its files are of two clusters, or nobody can tell
    untouched,  // nothing was changed yet
    rewound,    // only its settings are missing
};

struct NodeReport {
    bool data_directory = false;  // it is there and holds a PG_VERSION
    bool empty = false;           // it is not there, or has nothing in it
    std::string foreign;  // some of its files, when it is something else than a data directory
    int major = 0;
    std::string bin_dir;  // of that major version; empty when none was found
    std::string user;     // who owns PGDATA, and who looked
    std::string owner;
    bool frozen = false;   // it runs, and is stopped by a signal (SIGSTOP): it obeys SIGKILL only
    bool running = false;  // a live postmaster whose working directory is PGDATA; zombies are not
    bool standby_signal = false;
    bool recovery_signal = false;
    bool recovery_conf = false;
    // Of a base backup that was put in place and never started: from where it will be replayed.
    std::optional<Lsn> backup_start;
    std::string tombstone;  // its first line, where recovery.conf is one
    bool unfinished_marker = false;
    RewindState rewind_state = RewindState::copying;  // where there is a marker
    bool pg_rewind = false;
    bool pg_waldump = false;    // of that major version, as pg_rewind
    std::string pg_basebackup;  // of that major version or a later one; empty when there is none
    // Debian: "15/main" when pg_lsclusters knows the directory, and where its configuration is.
    std::string debian_cluster;
    std::string config_file;  // empty: postgresql.conf in PGDATA
    std::string server_log;   // Debian: where pg_ctlcluster lets it log
    // The systemd unit that runs this directory; empty where there is none, or no systemd.
    std::string systemd_unit;
    std::string unit_unknown;    // systemd runs there and did not answer: what was asked, what came
    std::string work_directory;  // PGDATA.pgpool-hooks, for what must survive beside PGDATA
    bool parent_writable = false;
    bool mount_point = false;    // PGDATA itself is one
    bool symbolic_link = false;  // PGDATA itself is one
    std::string busy;            // "pg_rewind, pid 4711": somebody works on these files
    // A base backup that removed the old data did not end, and what was to stay is the node's own.
    bool unfinished_keeps_configuration = false;
    bool interrupted_swap = false;  // a base backup is half in place
    Known<ControlData> control;
    // The newest that has WAL and a history with the control file's in it; 0 where that is not
    // known.
    TimelineId newest_timeline = 0;
    std::string history;  // content of the history file of timeline(), when there is one

    // Only where `control` is known.
    TimelineId timeline() const { return std::max(newest_timeline, control->timeline()); }
};

// Run by /bin/sh -eu with the arguments PGDATA, BIN_DIR (may be empty), and the major version whose
// programs to look for where there is no data directory yet. Reads only.
extern const std::string_view node_report_script;
// Throws Error{command} on output that the script does not write.
NodeReport parse_node_report(std::string_view output);

// Run by /bin/sh -eu with the arguments PGDATA, BIN_DIR, TIMELINE (decimal), START (LSN), and the
// size of a WAL segment in bytes: prints the last lines of pg_waldump.
extern const std::string_view wal_end_script;

// What it could be written to as, by its files; where `control` is known. A running server is no
// primary, whatever they say, where a signal file makes it a standby.
bool files_of_a_primary(const NodeReport& report);
// The facts that the rules need of a stopped node. `waldump` is the output of wal_end_script.
TargetFacts target_facts(int node, const NodeReport& report, std::string_view waldump);
// From where wal_end_script should read: the redo position, or the begin of the newest timeline if
// that is later, because pg_waldump reads the segments of one timeline only.
Lsn wal_scan_start(const NodeReport& report);

}  // namespace hooks
