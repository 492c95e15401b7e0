// What is done to the files and the server of one node, by commands run there.
//
// Everything that must survive a replaced data directory stands beside it, in PGDATA.pgpool-hooks
// (in ~/.pgpool-hooks where that cannot be made):
//   rewind-unfinished   marker of a rewind that did not end, and how far it came
//   rewind.log          what pg_rewind said; tells whether it began to write
//   configuration/      the node's own configuration while the source's is in its place
//   settings/           its recovery settings, for whoever ends the rewind
//   pg_control.*        the control file before a rewind, and that of one that broke off
//   backup-unfinished   marker: the old data was removed for a base backup that did not end; holds
//                       what only that data told: whose configuration stays, where WAL and
//                       tablespaces were
//   old                 what that base backup removes
//   backup.log          why a base backup was ended
//   rooms               directories and the rooms of their new and old files
//   swap                journal: the new files are taking the place of the old ones
//   swapped             the same, done, until the new ones have proved themselves
//   trimmed/            WAL that the source does not have, until the proof
//   server.log          what a server said that was started from here
// A room is this directory, or one on the same filesystem as what it is for (room_of()):
//   incoming/           a base backup that is being made
//   previous/           the old files until the new ones have proved themselves; previous-2/ when
//                       that never came
//   discarded/          a base backup that was never started, while the next takes its place
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/app/env.h"
#include "common/core/backup_layout.h"
#include "common/core/node_report.h"
#include "common/core/recovery_conf.h"
#include "common/core/rescue.h"
#include "common/io/node.h"
#include "common/io/pg_connection.h"

namespace hooks {

// The machine of a backend: this one where local_nodes allows it and the address is its own, else
// by ssh. Blocks on name resolution only.
std::unique_ptr<Node> make_node(const Backend& backend, const Config& config, Deadline deadline);

// By ssh through the machine of `via`, for a backend that cannot be reached from here. Each login
// may take `connect_timeout`.
std::unique_ptr<Node> make_node_through(const Backend& via, const Backend& backend,
                                        const Config& config,
                                        std::chrono::milliseconds connect_timeout);

// One node as the steps see it.
struct Target {
    Backend backend;
    const NodeOptions& options;
    std::unique_ptr<Node> node;
    NodeReport report;
    std::string waldump;  // of a stopped server
    // Throws where what was begun must not be put in place any more.
    std::function<void()> still_wanted = {};

    const std::string& directory() const { return backend.data_directory; }
};

// Reads only. Throws Error{refused} when the data directory belongs to another user than the one
// who looks, Error{command} when it cannot be read.
// `expected_major`: whose programs to look for where there is no data directory.
void look_at_files(Target& target, int expected_major, Deadline deadline);
// Ends a base backup of an earlier run whose hook is gone. Only for who holds the node's lock.
void end_leftovers(Target& target, Env& env, Deadline deadline);
// Where the WAL of a stopped server ends. Blocks for as long as pg_waldump reads: from the redo
// position of the last checkpoint on. Where there is none, that WAL is read here.
void look_at_wal(Target& target, Deadline deadline);

// Fast shutdown, by the unit where one runs it; when it does not end within half of the time that
// is left, immediate; and SIGKILL for one that takes no signal (it was stopped with SIGSTOP, say)
// in half of the rest. Done means that no such process is there any more. Throws Error{command}
// with the end of pg_ctl's words.
void stop_server(Target& target, Env& env, Deadline deadline);

// Where a unit runs the server: Error{refused}, with what to permit, when systemd would not let us
// start it, or does not tell whether there is a unit. For before it is stopped, rewound or rebuilt.
void check_unit_may_be_started(Target& target, Env& env, Deadline deadline);
// For before the files of a stopped server are changed: a unit that is not stopped may start it at
// any moment (Restart=). True when that was so: the files may be others by now, look again.
// Throws as the above.
bool put_unit_to_rest(Target& target, Env& env, Deadline deadline);

// Where a server may run that a systemd unit is there for.
enum class StartWhere {
    unit,      // there only: Error{refused}, with what to permit, where systemd does not let us
    anywhere,  // elsewhere rather than not at all, whatever systemd says: without it nobody is the
               // primary
};
// Starts it detached from every descriptor of this program; whether it came up is for the caller to
// see. systemctl returns when it serves, half a minute later at the latest; all else at once.
// Throws Error{command} with the end of the server's log.
void start_server(Target& target, Env& env, Deadline deadline, StartWhere where = StartWhere::unit);
// False when there is no postmaster any more.
bool server_is_running(Target& target, Deadline deadline);
// What the server logged last, for messages.
std::string end_of_server_log(Target& target, Deadline deadline);

// Processes that its startup process waits for: a restore_command, by pid.
std::vector<std::string> restore_commands_running(Target& target, Deadline deadline);
// Of a stopped server: common/core/held_settings.h. `effective`: what it was when the server ran.
void hold_restore_command_in_file(Target& target, const std::string& effective, Deadline deadline);
// Below 12, where it is a line of recovery.conf and SQL cannot put it back.
void release_restore_command_in_file(Target& target, Deadline deadline);

// A crashed cluster, as an isolated standby: replays all its WAL, listens to nobody, writes
// nothing of its own, and is shut down. The usual way (single-user mode, or a start and stop)
// recycles the very WAL that pg_rewind needs.
void settle_crash(Target& target, Env& env, Deadline deadline);

// Copies these stretches of a stopped node's WAL into its state_dir, with a report; a copy that is
// there already is taken as it is. Throws Error{refused} where they cannot be kept.
RescuedWal rescue_wal(Target& target, const std::vector<WalStretch>& stretches,
                      const std::string& source, Env& env, Deadline deadline);

void trim_wal(Target& target, TimelineId timeline, Lsn from, Deadline deadline);

struct RewindSource {
    Conninfo conninfo;
    std::vector<std::string> tablespaces;  // for each its OID, then its location
    std::uint64_t new_wal_bytes = 0;       // WAL that the target has no file for yet
};
RewindSource read_rewind_source(PgConnection& primary, Conninfo conninfo, TimelineId timeline,
                                Env& env, Deadline deadline);
enum class RewindEnd {
    done,                // with its settings in place
    ended_from_outside,  // killed or stalled; before it changed anything, as far as it could tell
};
// For its time PGDATA has another name where it can. On the node it goes on to its end whatever
// becomes of the connection. Throws Error{command}; its message tells whether files were changed
// (the marker stands then).
RewindEnd rewind(Target& target, const RewindSource& source, const RecoverySettings& settings,
                 Env& env, Deadline deadline);
// Until what an earlier run began has ended. Only for who holds the node's lock, as the next one.
void wait_for_rewind(Target& target, Env& env, Deadline deadline);
// Puts back, finishes, or makes unstartable what a rewind left that did not end (the report has an
// unfinished_marker). Look again afterwards. `major`: of the source.
void settle_rewind(Target& target, int major, Env& env, Deadline deadline);

// What a base backup needs and where it goes. Reads only. `keeps_configuration`: as base_backup().
struct BackupPlan {
    BackupSize size;
    BackupSite site;
    BackupChoice choice;
};
BackupPlan plan_backup(Target& target, PgConnection& primary, BaseBackupPolicy policy,
                       bool keeps_configuration, Deadline deadline);
// Throws Error{command} that says what became of the old data. `keep_configuration`: the node's own
// configuration files go into the new directory; else the source's stay, with this port.
void base_backup(Target& target, const BackupPlan& plan, const Conninfo& source,
                 const std::string& slot, bool keep_configuration, int major, Env& env,
                 Deadline deadline);
// Puts a complete base backup in place of what is there.
void swap_in(Target& target, const BackupSite& site, bool keep_configuration, int major,
             Deadline deadline);
// The same, of an earlier run that was cut off in between.
void finish_swap(Target& target, Env& env, Deadline deadline);
// After the proof. What cannot be removed is a warning: the node is as it should be.
void remove_previous(Target& target, Env& env, Deadline deadline);
// What a base backup that was cut off left. Only for who holds the node's lock.
void remove_incoming(Target& target, Env& env, Deadline deadline);

// What the node says now about how to reach a primary; keywords that are not ours to set (sslmode,
// passfile, ...) are carried over from it.
Conninfo present_primary_conninfo(Target& target, Deadline deadline);
// The rest of its recovery.conf, or of its recovery.done where it was a primary; below 12. nullopt
// where no file is there that says more than that it is a standby.
std::optional<KeptRecovery> present_recovery(Target& target, Deadline deadline);
// Whether a stopped node's server would look for a promote_trigger_file. False where it does not
// say.
bool trigger_file_is_set(Target& target, int major, Deadline deadline);
// Ends a rewind: with its settings in place the marker goes.
void write_recovery_settings(Target& target, const RecoverySettings& settings, int major,
                             Deadline deadline);

}  // namespace hooks
