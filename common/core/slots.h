// What becomes of the slots that a primary holds for the other nodes: rules L01 to L08, and the
// ledger that says which of them are ours.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/config.h"

namespace hooks {

// A slot without a user keeps WAL back until the disk is full; `bounded`: max_slot_wal_keep_size
// forbids that.
bool lets_slot_go(FailedStandbySlot policy, bool bounded);

// ---- the ledger: a file `slots` in state_dir, a line for each slot that was made or has gone
//
//   time=... event=made slot=pgpool_node_2 on="node 1 (10.0.0.2:5432)" server=10.0.0.2:5432
//   cluster=7301... why=... hook=failover_command host=pgpool1 run=5f2c

// A server, and what it is a server of: the same address may hold another cluster some day.
struct SlotPlace {
    std::string server;  // "10.0.0.2:5432"
    std::uint64_t cluster = 0;
};

// The slots whose last line for this place says that they were made. A line that is not whole (its
// writer was cut off) or that says something else counts for nothing.
std::set<std::string> slots_in_ledger(std::string_view text, const SlotPlace& place);

// ---- the rules

// A physical slot of the primary whose name begins as ours do.
struct NodeSlot {
    std::string name;
    bool active = false;
    std::optional<std::uint64_t>
        kept;                // bytes of WAL from its restart_lsn on; nullopt: it has none
    std::string wal_status;  // 13 and later: reserved, extended, unreserved, lost
};

struct SlotWorld {
    int primary = 0;  // its node id; negative where that is not known
    int major = 0;
    std::optional<std::uint64_t> bound;     // max_slot_wal_keep_size in bytes; nullopt: none
    std::optional<std::set<int>> backends;  // of pgpool.conf as it is now; nullopt: not known
    std::set<std::string> ours;             // by the ledger
    std::set<int> down;                     // nodes that were seen not to serve
    std::set<int> expected;                 // nodes that are on their way back
    std::optional<int> given_up;            // by this run
    FailedStandbySlot policy = FailedStandbySlot::keep_if_bounded;
    std::vector<NodeSlot> slots;
};

struct SlotVerdict {
    std::string rule;
    std::string slot;
    int node = -1;  // that it is for; negative: the name is not that of any node's slot
    bool drop = false;
    std::string text;  // for a verdict; empty where there is nothing to tell
    std::string next;  // the command that a person may want to type; empty: none is needed
};

// One for each slot, in their order. The first rule that matches wins.
std::vector<SlotVerdict> judge_slots(const SlotWorld& world);

// "0 bytes", "640 kB", "16 MB", "1.2 GB": as PostgreSQL counts, 1 kB = 1024 bytes.
std::string bytes_text(std::uint64_t bytes);

}  // namespace hooks
