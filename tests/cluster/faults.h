// The fault matrix: what breaks, on which node, while what goes on, and what must come of it. The
// page docs/fault-matrix.md is printed from this table, and every row is a test.
#pragma once

#include <string>
#include <vector>

namespace hooks::harness {

enum class Fault {
    sigkill,
    sigstop,  // until the writes have gone on elsewhere
    fast_stop,
    immediate_stop,
    host_cut,     // nothing gets in or out
    one_way_cut,  // what it sends is lost
    slow_link,    // 512 kbit/s
    disk_full,
    disk_read_only,
    ssh_dead,             // no sshd, PostgreSQL lives
    ssh_and_server_dead,  // the host answers, and nothing runs there
    wrong_password,       // the password changes in the database, and in no passfile
};

enum class Victim { primary, candidate, follower, pgpool };

enum class During {
    idle,      // no client
    load,      // clients commit all the time, with synchronous replication
    recovery,  // pcp_recovery_node copies to the follower, which was lost before
    failover,  // the primary is killed at the same moment
};

// In the end there is always one writable node, all nodes stream from it and are attached, and no
// acknowledged row is lost.
enum class Ending {
    unharmed,    // the primary stays, nobody is promoted, all nodes are attached
    taken_over,  // another node is promoted, and writes go on there
    stays,       // the primary stays and writes go on; the victim is detached
    refused,     // the primary stays, and nobody is promoted though pgpool lost it
};

// What brings back who was detached, when the fault is over.
enum class Back { by_itself, recovery, attach, restart_of_pgpool };

struct FaultCase {
    Fault fault;
    Victim victim;
    During during;
    Ending ending;
    Back back;
};

const std::vector<FaultCase>& fault_matrix();

// "SigkillOfPrimaryUnderLoad"
std::string name_of(const FaultCase& row);
// The whole of docs/fault-matrix.md.
std::string fault_matrix_page();

}  // namespace hooks::harness
