#include "tests/cluster/faults.h"

namespace hooks::harness {
namespace {

struct Words {
    const char* name;  // in the name of the test
    const char* text;  // on the page
};

Words words(Fault fault) {
    switch (fault) {
        case Fault::sigkill:
            return {"Sigkill", "SIGKILL"};
        case Fault::sigstop:
            return {"Sigstop", "SIGSTOP, later SIGCONT"};
        case Fault::fast_stop:
            return {"FastStop", "fast stop"};
        case Fault::immediate_stop:
            return {"ImmediateStop", "immediate stop"};
        case Fault::host_cut:
            return {"HostCut", "host cut off, later back"};
        case Fault::one_way_cut:
            return {"OneWayCut", "what it sends is lost, later not"};
        case Fault::slow_link:
            return {"SlowLink", "line of 512 kbit/s"};
        case Fault::disk_full:
            return {"DiskFull", "disk full, later not"};
        case Fault::disk_read_only:
            return {"DiskReadOnly", "disk read-only, later not"};
        case Fault::ssh_dead:
            return {"SshDead", "sshd dead, PostgreSQL alive"};
        case Fault::ssh_and_server_dead:
            return {"SshAndServerDead", "sshd and PostgreSQL dead, sshd back later"};
        case Fault::wrong_password:
            return {"WrongPassword", "password changed in the database only, later put right"};
    }
    return {"", ""};
}

Words words(Victim victim) {
    switch (victim) {
        case Victim::primary:
            return {"Primary", "primary"};
        case Victim::candidate:
            return {"Candidate", "candidate"};
        case Victim::follower:
            return {"Follower", "follower"};
        case Victim::pgpool:
            return {"Pgpool", "Pgpool-II"};
    }
    return {"", ""};
}

Words words(During during) {
    switch (during) {
        case During::idle:
            return {"WhenIdle", "idle"};
        case During::load:
            return {"UnderLoad", "under load"};
        case During::recovery:
            return {"DuringARecovery", "during a recovery of the follower"};
        case During::failover:
            return {"DuringAFailover", "as the primary is killed"};
    }
    return {"", ""};
}

const char* text(Ending ending) {
    switch (ending) {
        case Ending::unharmed:
            return "nothing happens to the cluster";
        case Ending::taken_over:
            return "another node is promoted, writes go on there";
        case Ending::stays:
            return "the primary stays, writes go on";
        case Ending::refused:
            return "nobody is promoted; the log says why";
    }
    return "";
}

const char* text(Back back) {
    switch (back) {
        case Back::by_itself:
            return "by itself";
        case Back::recovery:
            return "`pcp_recovery_node`";
        case Back::attach:
            return "`pcp_attach_node`";
        case Back::restart_of_pgpool:
            return "start of Pgpool-II";
    }
    return "";
}

}  // namespace

const std::vector<FaultCase>& fault_matrix() {
    static const std::vector<FaultCase> rows = {
        {Fault::sigkill, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::sigkill, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::sigkill, Victim::primary, During::recovery, Ending::taken_over, Back::by_itself},
        {Fault::sigstop, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::sigstop, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::sigstop, Victim::primary, During::recovery, Ending::taken_over, Back::by_itself},
        {Fault::fast_stop, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::fast_stop, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::fast_stop, Victim::primary, During::recovery, Ending::taken_over, Back::by_itself},
        {Fault::immediate_stop, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::immediate_stop, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::immediate_stop, Victim::primary, During::recovery, Ending::taken_over,
         Back::by_itself},
        {Fault::host_cut, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::host_cut, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::host_cut, Victim::primary, During::recovery, Ending::taken_over, Back::by_itself},
        {Fault::one_way_cut, Victim::primary, During::idle, Ending::taken_over, Back::by_itself},
        {Fault::one_way_cut, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::one_way_cut, Victim::primary, During::recovery, Ending::taken_over,
         Back::by_itself},
        {Fault::ssh_and_server_dead, Victim::primary, During::idle, Ending::taken_over,
         Back::by_itself},
        {Fault::ssh_and_server_dead, Victim::primary, During::load, Ending::taken_over,
         Back::by_itself},
        {Fault::ssh_and_server_dead, Victim::primary, During::recovery, Ending::taken_over,
         Back::by_itself},
        {Fault::disk_full, Victim::primary, During::load, Ending::taken_over, Back::by_itself},
        {Fault::slow_link, Victim::primary, During::idle, Ending::unharmed, Back::by_itself},
        {Fault::slow_link, Victim::primary, During::load, Ending::unharmed, Back::by_itself},
        {Fault::wrong_password, Victim::primary, During::idle, Ending::refused, Back::attach},
        {Fault::wrong_password, Victim::primary, During::load, Ending::refused, Back::attach},
        {Fault::sigkill, Victim::candidate, During::idle, Ending::stays, Back::recovery},
        {Fault::sigkill, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::sigkill, Victim::candidate, During::recovery, Ending::stays, Back::recovery},
        {Fault::sigstop, Victim::candidate, During::idle, Ending::stays, Back::recovery},
        {Fault::sigstop, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::fast_stop, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::fast_stop, Victim::candidate, During::recovery, Ending::stays, Back::recovery},
        {Fault::immediate_stop, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::immediate_stop, Victim::candidate, During::recovery, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::candidate, During::idle, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::candidate, During::recovery, Ending::stays, Back::recovery},
        {Fault::one_way_cut, Victim::candidate, During::load, Ending::stays, Back::recovery},
        {Fault::one_way_cut, Victim::candidate, During::recovery, Ending::stays, Back::recovery},
        {Fault::ssh_and_server_dead, Victim::candidate, During::load, Ending::stays,
         Back::recovery},
        {Fault::ssh_and_server_dead, Victim::candidate, During::recovery, Ending::stays,
         Back::recovery},
        {Fault::disk_full, Victim::candidate, During::load, Ending::unharmed, Back::by_itself},
        {Fault::slow_link, Victim::candidate, During::load, Ending::unharmed, Back::by_itself},
        {Fault::slow_link, Victim::candidate, During::recovery, Ending::unharmed, Back::by_itself},
        {Fault::sigkill, Victim::candidate, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::host_cut, Victim::candidate, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::one_way_cut, Victim::candidate, During::failover, Ending::taken_over,
         Back::by_itself},
        {Fault::ssh_dead, Victim::candidate, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::slow_link, Victim::candidate, During::failover, Ending::taken_over,
         Back::by_itself},
        {Fault::sigkill, Victim::follower, During::idle, Ending::stays, Back::recovery},
        {Fault::sigkill, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::sigstop, Victim::follower, During::idle, Ending::stays, Back::recovery},
        {Fault::sigstop, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::fast_stop, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::immediate_stop, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::follower, During::idle, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::host_cut, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::one_way_cut, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::one_way_cut, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::ssh_and_server_dead, Victim::follower, During::load, Ending::stays, Back::recovery},
        {Fault::disk_full, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::disk_read_only, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::ssh_dead, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::wrong_password, Victim::follower, During::recovery, Ending::stays, Back::recovery},
        {Fault::disk_full, Victim::follower, During::load, Ending::unharmed, Back::by_itself},
        {Fault::slow_link, Victim::follower, During::load, Ending::unharmed, Back::by_itself},
        {Fault::sigkill, Victim::follower, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::host_cut, Victim::follower, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::one_way_cut, Victim::follower, During::failover, Ending::taken_over,
         Back::by_itself},
        {Fault::ssh_dead, Victim::follower, During::failover, Ending::taken_over, Back::by_itself},
        {Fault::sigkill, Victim::pgpool, During::idle, Ending::unharmed, Back::restart_of_pgpool},
        {Fault::sigkill, Victim::pgpool, During::load, Ending::unharmed, Back::restart_of_pgpool},
        {Fault::sigkill, Victim::pgpool, During::recovery, Ending::unharmed,
         Back::restart_of_pgpool},
        {Fault::fast_stop, Victim::pgpool, During::load, Ending::unharmed, Back::restart_of_pgpool},
        {Fault::fast_stop, Victim::pgpool, During::recovery, Ending::unharmed,
         Back::restart_of_pgpool},
        {Fault::sigstop, Victim::pgpool, During::load, Ending::unharmed, Back::by_itself},
        {Fault::sigstop, Victim::pgpool, During::recovery, Ending::unharmed, Back::by_itself},
    };
    return rows;
}

std::string name_of(const FaultCase& row) {
    return std::string(words(row.fault).name) + "Of" + words(row.victim).name +
           words(row.during).name;
}

std::string fault_matrix_page() {
    std::string page =
        "# Fault matrix\n\n"
        "What breaks, where, while what goes on, and what comes of it: three nodes and Pgpool-II "
        "on "
        "hosts of\ntheir own. This page is printed from the table that the tests run "
        "(`tests/run -R FaultMatrix`), one test\nfor each row.\n\n"
        "Every row also demands, in the end: one writable node, all nodes streaming from it and "
        "attached, and\nno acknowledged row lost. *Under load*, replication is synchronous and the "
        "fault strikes in the middle of\nwhatever goes on; otherwise it is asynchronous, and "
        "strikes between two commits. The *candidate* is\nthe node that Pgpool-II proposes, the "
        "*follower* the other standby.\n\n"
        "| what breaks | on the | while | what happens | who was detached comes back |\n"
        "|---|---|---|---|---|\n";
    for (const FaultCase& row : fault_matrix()) {
        page += std::string("| ") + words(row.fault).text + " | " + words(row.victim).text + " | " +
                words(row.during).text + " | " + text(row.ending) + " | " +
                (row.ending == Ending::unharmed && row.back == Back::by_itself ? "nobody was"
                                                                               : text(row.back)) +
                " |\n";
    }
    return page;
}

}  // namespace hooks::harness
