// The ledger of whose the slots are: `slots` in state_dir, see common/core/slots.h. Each host has
// its own; a slot that is in none of them is somebody else's. A line that cannot be written is a
// warning: the slot is then taken for foreign, and is left alone.
#pragma once

#include <string>
#include <vector>

#include "common/app/env.h"
#include "common/app/servers.h"
#include "common/core/slots.h"

namespace hooks {

// Where slots are: a server, and the system identifier of its cluster (0: to be asked for).
struct SlotServer {
    PgConnection& connection;
    Backend backend;
    std::uint64_t cluster = 0;

    SlotPlace place() const;
};

// create_slots(), with a line for each that was made. Throws as that does.
void make_slots(const SlotServer& on, const std::vector<std::string>& slots, const std::string& why,
                Env& env, Deadline deadline);
// drop_slot(), the same way.
SlotDrop drop_slot_noted(const SlotServer& on, const std::string& slot, const std::string& why,
                         Env& env, Deadline deadline, std::optional<int> unless_held = {});
// drop_unused_node_slots(), the same way; also notes which slots of the ledger went with a data
// directory that was replaced.
void clear_standby_of_slots(SlotServer on, Env& env, Deadline deadline);

// The file as it is; empty where there is none.
std::string slot_ledger_text(Env& env);
// One line for each slot. `event`: made, dropped, gone (found missing).
void note_slots(const SlotServer& on, const char* event, const std::vector<std::string>& slots,
                const std::string& why, Env& env);

}  // namespace hooks
