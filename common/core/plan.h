// A decision as data: steps that can be printed, checked and performed in order.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/core/lsn.h"
#include "common/core/rescue.h"

namespace hooks {

// All members named `node` are node ids; `source` is the node id of the primary to follow. The
// hooks of online recovery are not always told an id:
constexpr int unnamed_primary = -1;
constexpr int unnamed_target = -2;
// "node 1", "the primary", "the target node"
std::string node_name(int node);

struct CreateSlots {  // physical, with WAL reserved at once; one that exists is kept
    int node = 0;
    std::vector<std::string> slots;
};
struct DropSlot {  // unless it is in use
    int node = 0;
    std::string slot;
};
struct ResumeReplay {
    int node = 0;
};
struct Promote {
    int node = 0;
};
struct StopServer {  // fast shutdown, proved by the absence of its process
    int node = 0;
};
struct WaitForWal {  // until a candidate, best this one, has received all that was written
    int node = 0;
    TimelineId timeline = 0;
    Lsn upto;
};
struct Fence {  // a tombstone in a data directory that no server runs in: none is to start there
    int node = 0;
    int successor = 0;
};
struct StartAsPrimary {  // takes the tombstone away, starts the server that was stopped before
    int node = 0;
};
struct LookAgain {  // the facts changed with the step before; decide anew
    int node = 0;
};
struct Checkpoint {  // on the primary, so that its pg_control shows the new timeline
    int node = 0;
};
struct SettleCrash {  // run as an isolated standby and stop: replays its WAL without writing any
    int node = 0;
};
struct TrimWal {  // remove segments of `timeline` from the one that holds `from` on
    int node = 0;
    TimelineId timeline = 0;
    Lsn from;
};
struct RescueWal {  // keep a copy of what the next steps throw away, outside the data directory
    int node = 0;
    std::vector<WalStretch> stretches;
};
struct Rewind {
    int node = 0;
    int source = 0;
    bool loses_wal = false;  // WAL that the source does not have
};
struct BaseBackup {  // into a directory beside the old one, swapped in when complete
    int node = 0;
    int source = 0;
    bool loses_wal = false;
    bool in_place = false;  // the old data goes as soon as the copy arrives
};
struct WriteRecoverySettings {
    int node = 0;
    int source = 0;
};
struct Repoint {  // ALTER SYSTEM and reload, no restart
    int node = 0;
    int source = 0;
};
struct StartServer {
    int node = 0;
    bool settings_seen = false;  // the recovery settings are in place and were looked at
};
struct ProveStreaming {
    int node = 0;
    int source = 0;
};
struct AttachNode {
    int node = 0;
};
struct HandOver {  // to a worker that outlives pgpool's call
    int node = 0;
};

using Step = std::variant<CreateSlots, DropSlot, ResumeReplay, Promote, StopServer, WaitForWal,
                          Fence, StartAsPrimary, LookAgain, Checkpoint, SettleCrash, TrimWal,
                          RescueWal, Rewind, BaseBackup, WriteRecoverySettings, Repoint,
                          StartServer, ProveStreaming, AttachNode, HandOver>;

// "promote node 1": for --dry-run, the log, error context and golden tests.
std::string text(const Step& step);
// A short name for times in the history: "promote".
const char* name(const Step& step);
// After such a step the world cannot be put back as it was.
bool is_point_of_no_return(const Step& step);

struct Plan {
    std::string rule;    // "F05"
    std::string reason;  // a sentence for a person
    std::vector<Step> steps;
};
struct Nothing {
    std::string rule;
    std::string reason;
};
struct Refuse {
    std::string rule;
    std::string reason;
    std::string next;  // what a person can do, a sentence
};
using Decision = std::variant<Plan, Nothing, Refuse>;

const std::string& rule_of(const Decision& decision);
const std::string& reason_of(const Decision& decision);

// Whether a server has to be started in the end, by these steps or by whoever comes next.
bool needs_a_start(const Decision& decision);

// The plan as --dry-run prints it.
std::string to_string(const Decision& decision);

// What would make the order of these steps unsafe; nullopt when nothing does. The executor asks
// before the first effect, and the tests for every plan that the rules can build.
std::optional<std::string> order_defect(const Plan& plan);

}  // namespace hooks
