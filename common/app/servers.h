// Looking at the servers, all at once, and what is done to a server in SQL.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/app/env.h"
#include "common/core/connections.h"
#include "common/core/rejoin.h"
#include "common/core/server_facts.h"
#include "common/io/pg_connection.h"

namespace hooks {

struct ServerLook {
    ServerSeen seen;
    std::unique_ptr<PgConnection> connection;  // when it serves
};

// Who this session is, for pg_stat_activity: "failover_command pid 77 on pgpool1".
std::string session_name(const Env& env);

bool is_superuser(PgConnection& server, Deadline deadline);

// In parallel; each node has `connect_timeout` to answer. Blocks for the slowest of them.
std::vector<ServerLook> look_at_servers(const std::vector<Backend>& backends, const Env& env);
// `on_answer` is called for each as its answer comes, on a thread of its own.
std::vector<ServerLook> look_at_servers(
    const std::vector<Backend>& backends, const Env& env, Deadline deadline,
    const std::function<void(const ServerSeen&)>& on_answer = {});
// Reads them again over the connections that are there; reconnects where one is not.
std::vector<ServerSeen> seen_of(const std::vector<ServerLook>& looks);
PgConnection* connection_to(const std::vector<ServerLook>& looks, int node_id);

ServerFacts read_server_facts(PgConnection& connection, Deadline deadline);
// With what the choice of a candidate needs more of a standby: its history, and whether it falls
// short of its primary's settings. Both may be unknown.
ServerFacts read_candidate_facts(PgConnection& server, Deadline deadline);
// Throws Error{sql} when a fact cannot be read; the caller turns that into an Unknown.
SourceFacts read_source_facts(PgConnection& primary, int node_id, Deadline deadline);
// What a rewind or a base backup would copy. Slow where there are many files. What cannot be read
// stays unknown, with the reason.
void read_copy_sizes(PgConnection& primary, SourceFacts& facts, Deadline deadline);
// Of a running server. What only its files can tell stays unknown.
TargetFacts read_running_target(PgConnection& target, int node_id, Deadline deadline);

// Physical slots with WAL reserved at once; one that exists and reserves WAL is kept, one that
// lost its WAL, or never had any, and is not in use is made anew. `changes`: what was done, also
// when it throws. Hooks call make_slots() of slot_ledger.h, which keeps the ledger.
struct SlotChanges {
    std::vector<std::string> dropped;
    std::vector<std::string> made;
};
void create_slots(PgConnection& server, const std::vector<std::string>& slots, Deadline deadline,
                  SlotChanges* changes = nullptr);
// One that is in use is left alone. `unless_held`: also one of a node that another run works on.
enum class SlotDrop { dropped, none, in_use };
SlotDrop drop_slot(PgConnection& server, const std::string& slot, Deadline deadline,
                   std::optional<int> unless_held = {});
// Slots for other nodes on a server that is a standby now. Nobody uses them, and they would keep
// its WAL back until its disk is full. One in use is left alone. Returns those that went.
std::vector<std::string> drop_unused_node_slots(PgConnection& standby, Deadline deadline);
// Logical slots of its own that keep WAL back, and that nobody uses at the moment (17 and later
// synchronize those of a primary: these are not meant). An old primary has them where it followed
// without a rewind or a base backup, which would have left none.
std::vector<std::string> unused_logical_slots(PgConnection& standby, Deadline deadline);
// Whether a slot cannot keep back WAL without limit (13 and later, max_slot_wal_keep_size set).
bool slots_are_bounded(PgConnection& server, Deadline deadline);

// How a promotion ended. Only `not_begun` makes it safe to promote another node as it is.
struct Promotion {
    enum class End { promoted, not_begun, pending };
    End end = End::pending;
    TimelineId timeline = 0;
    std::string detail;
};
// pg_promote(false) and then a poll every few milliseconds: out of recovery, on a timeline above
// `before`. Blocks until then, until the server is gone, or until the deadline.
Promotion promote(PgConnection& server, TimelineId before, Deadline deadline);
// The poll alone, after a promotion that was asked for in another way (pg_ctl, below 12).
Promotion wait_for_promotion(PgConnection& server, TimelineId before, Deadline deadline);

// ALTER SYSTEM that may hold a secret: kept out of the server's log where a superuser may do that.
void quiet_log(PgConnection& server, Deadline deadline);

// Settings that are held for a moment and say so themselves: common/core/held_settings.h.
// hold_receiver (13 and later): its walreceiver is told to go, and not to turn to its archive then,
// which may be on the lost host; false where primary_conninfo, or the restore_command of a 13,
// cannot be held. Throws Error{sql}.
bool hold_receiver(PgConnection& standby, Deadline deadline);
// 14 and later. False when there is no restore_command.
bool hold_restore_command(PgConnection& standby, Deadline deadline);
// Puts back whatever is held there, whoever holds it; true when something was.
bool release_settings(PgConnection& server, Deadline deadline);
// The second of the two alone, with nothing but a look where it is not held.
void release_restore_command(PgConnection& server, Deadline deadline);

// Nobody need confirm a commit until enough standbys of the setting stream. It is asked for here:
// when it is obeyed is_relaxed() says. Throws Error{sql} where ALTER SYSTEM cannot do it.
void relax_synchronous(PgConnection& server, Deadline deadline);
bool is_relaxed(PgConnection& server, Deadline deadline);
bool relaxation_is_noted(PgConnection& server, Deadline deadline);
// What was put back; nullopt where nothing is relaxed, or, on a primary, too few of the standbys
// stream yet. Costs one look where nothing is relaxed.
std::optional<std::string> restore_synchronous(PgConnection& server, Deadline deadline);

// CHECKPOINT, or what comes to the same for a role that may not ask for one before 15. Blocks until
// it is done. What the server says when it may do neither.
PgOutcome checkpoint(PgConnection& primary, Deadline deadline);
// That, then waits until the control file shows the timeline that is written. Who may not ask
// waits for the checkpoint of the promotion, which takes minutes, and says so.
void checkpoint_on_new_timeline(PgConnection& primary, Env& env, Deadline deadline);

// ALTER SYSTEM and reload (13 and later).
void repoint(PgConnection& standby, const std::string& primary_conninfo, const std::string& slot,
             Deadline deadline);

// Proof that the standby follows this primary: in recovery, walreceiver streaming on the primary's
// timeline, its slot active there, and a marker that was just written replayed; or received, where
// its replay is paused or delayed by its own settings. Throws
// Error{timeout} that says which part is missing. "Streaming" alone proves nothing: a node that
// diverged says so for a while too.
struct Proof {
    TimelineId timeline = 0;
    Lsn marker;
    std::string reached;  // "replayed 0/5000110"
    std::string remark;   // "; ..." for a verdict: what else was done
};
// While the standby does not stream, `look` is called about once a second: it throws where waiting
// is of no use. `apply_delay`: its recovery_min_apply_delay below 12, where the server does not
// tell.
Proof prove_streaming(PgConnection& primary, PgConnection& standby, Deadline deadline,
                      const std::function<void(PgConnection& standby)>& look = {},
                      const std::string& apply_delay = {});

// Of a running standby that was re-pointed: whether it can follow no more. Until its walreceiver is
// stopped it goes on to get WAL from where it got it before, a primary of the past perhaps, and
// with one record past the switchpoint it asks for WAL of the new timeline for ever.
// Returns the reason; empty while it can.
std::string why_it_cannot_follow(PgConnection& primary, int primary_id, PgConnection& standby,
                                 int standby_id, Deadline deadline);

}  // namespace hooks
