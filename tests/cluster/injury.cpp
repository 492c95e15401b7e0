#include "tests/cluster/injury.h"

#include <fmt/format.h>

#include "common/core/error.h"
#include "tests/support/cluster_files.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kSlow = "512kbit";

void expect_silence(const Conninfo& target) {
    const Deadline deadline = Deadline::after(std::chrono::milliseconds(500));
    if (PgConnection::open(target, "harness", deadline).kind != PgAnswer::Kind::silent) {
        throw HarnessError(*target.find("host") + " still answers");
    }
}

}  // namespace

int Injury::victim() const {
    switch (row_.victim) {
        case Victim::primary:
            return kFirstPrimary;
        case Victim::candidate:
            return kCandidate;
        case Victim::follower:
            return kFollower;
        case Victim::pgpool:
            return kHub;
    }
    return kHub;
}

void Injury::change_password(const std::string& role, const std::string& connect_with,
                             const std::string& password) const {
    Conninfo conninfo = cluster_.conninfo(kFirstPrimary);
    conninfo.set("password", connect_with);
    const Deadline deadline = Deadline::after(seconds(10));
    const auto connection = PgConnection::connect(conninfo, "test", deadline);
    connection->query("SET password_encryption = 'scram-sha-256'", deadline);
    connection->query(fmt::format("ALTER ROLE {} PASSWORD '{}'", role, password), deadline);
}

void Injury::strike() {
    // Asynchronous: a commit that no standby has yet would be lost for good reasons.
    std::unique_lock<std::mutex> pause;
    if (row_.during != During::load) {
        pause = cluster_.pause_writers();
        cluster_.wait_until_standbys_have_all(kFirstPrimary);
    }
    victim() == kHub ? strike_pgpool() : strike_node(victim());
    if (row_.during == During::failover) {
        cluster_.kill_postgres_at_once(kFirstPrimary);
    }
}

void Injury::strike_node(int node) {
    switch (row_.fault) {
        case Fault::sigkill:
            return cluster_.kill_postgres_at_once(node);
        case Fault::sigstop:
            return cluster_.server(node).freeze();
        case Fault::fast_stop:
            return cluster_.stop_postgres(node, StopMode::fast);
        case Fault::immediate_stop:
            return cluster_.stop_postgres(node, StopMode::immediate);
        case Fault::host_cut:
            return cluster_.cut_network(node);
        case Fault::one_way_cut:
            for (int other = kHub; other < cluster_.size(); ++other) {
                if (other != node) {
                    cluster_.cut_one_way(node, other);
                }
            }
            return;
        case Fault::slow_link:
            return cluster_.network().slow_host(node, kSlow);
        case Fault::disk_full:
            cluster_.fill_disk(node);
            // The next segment has no room. The follower that is copied to has no server.
            if (!of_the_copy()) {
                try {
                    for (int segment = 0; segment < 2; ++segment) {
                        cluster_.sql(kFirstPrimary,
                                     "SELECT pg_logical_emit_message(false, 'test', 'x')");
                        cluster_.sql(kFirstPrimary, "SELECT pg_switch_wal()");
                    }
                } catch (const Error&) {
                    // It is the one that ends by this.
                }
            }
            return;
        case Fault::disk_read_only:
            return cluster_.set_disk_read_only(node, true);
        case Fault::ssh_dead:
            return cluster_.kill_sshd(node);
        case Fault::ssh_and_server_dead:
            cluster_.kill_sshd(node);
            return cluster_.kill_postgres_at_once(node);
        case Fault::wrong_password:
            return change_password(of_the_copy() ? "repl" : "postgres", Secrets::kSuperuser,
                                   "other");
    }
}

void Injury::strike_pgpool() {
    switch (row_.fault) {
        case Fault::sigkill:
            return cluster_.pgpool().kill();
        case Fault::fast_stop:
            return cluster_.pgpool().stop();
        case Fault::sigstop:
            return cluster_.pgpool().freeze();
        case Fault::host_cut:
        case Fault::one_way_cut:
            for (int node = 0; node < cluster_.size(); ++node) {
                cluster_.cut_one_way(kHub, node);
                if (row_.fault == Fault::host_cut) {
                    cluster_.cut_one_way(node, kHub);
                }
            }
            return;
        default:
            throw HarnessError("no such fault of pgpool's host");
    }
}

std::string Injury::all_logs() const {
    std::string text = cluster_.hook_log() + cluster_.pgpool_log();
    for (int node = 0; node < cluster_.size(); ++node) {
        text += cluster_.server_log(node);
    }
    return text;
}

void Injury::wait_until_it_shows() const {
    const int node = victim();
    const auto logged = [&](const char* text) {
        cluster_.wait_until([&] { return all_logs().find(text) != std::string::npos; }, seconds(30),
                            fmt::format("a log says \"{}\"", text));
    };
    switch (row_.fault) {
        case Fault::sigkill:
        case Fault::fast_stop:
        case Fault::immediate_stop:
        case Fault::ssh_dead:
        case Fault::ssh_and_server_dead:
            return;  // strike() returns when the processes are gone, and throws otherwise
        case Fault::sigstop:
            return expect_silence(node == kHub ? cluster_.pool_conninfo()
                                               : cluster_.conninfo(node));
        case Fault::host_cut:
        case Fault::one_way_cut:
            for (int other = 0; other < cluster_.size(); ++other) {
                if (node == kHub || node == other) {
                    expect_silence(cluster_.conninfo(other));
                }
            }
            return;
        case Fault::slow_link: {
            // Twice the burst that the line lets through at once.
            const Clock::time_point begin = Clock::now();
            cluster_.sql(node, "SELECT repeat('x', 131072)");
            if (Clock::now() - begin < std::chrono::milliseconds(700)) {
                throw HarnessError("the line is not slow");
            }
            return;
        }
        case Fault::disk_full:
            return logged("No space left on device");
        case Fault::disk_read_only:
            return logged("cannot be created");
        case Fault::wrong_password:
            return logged("password authentication failed");
    }
}

void Injury::lift() {
    const int node = victim();
    switch (row_.fault) {
        case Fault::sigkill:
        case Fault::fast_stop:
        case Fault::immediate_stop:
            return;
        case Fault::sigstop:
            return node == kHub ? cluster_.pgpool().thaw() : cluster_.thaw_postgres(node);
        case Fault::host_cut:
        case Fault::one_way_cut:
            if (node != kHub && row_.fault == Fault::host_cut) {
                return cluster_.heal_host(node);
            }
            for (int other = kHub; other < cluster_.size(); ++other) {
                if (other != node) {
                    cluster_.heal_one_way(node, other);
                    cluster_.heal_one_way(other, node);
                }
            }
            return;
        case Fault::slow_link:
            return cluster_.network().heal_slow_host(node);
        case Fault::disk_full:
            return cluster_.free_disk(node);
        case Fault::disk_read_only:
            return cluster_.set_disk_read_only(node, false);
        case Fault::ssh_dead:
        case Fault::ssh_and_server_dead:
            return cluster_.start_sshd(node);
        case Fault::wrong_password:
            return of_the_copy()
                       ? change_password("repl", Secrets::kSuperuser, Secrets::kReplication)
                       : change_password("postgres", "other", Secrets::kSuperuser);
    }
}

}  // namespace hooks::harness
