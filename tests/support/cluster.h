// A real cluster for tests: N PostgreSQL nodes with an sshd each and a real Pgpool-II, brought up
// in seconds, and the faults that a test wants to inject.
//
//     Cluster cluster;                     // three nodes, hooks as in hooks_bin_dir
//     cluster.start();
//     Writer writer(cluster);              // commits numbered rows through pgpool
//     writer.start();
//     cluster.kill_postgres(0);
//     writer.wait_for_commits(10);         // goes on
//     expect_one_writable(cluster);
//     expect_streaming(cluster, 2);
//     expect_no_acknowledged_row_lost(cluster, writer);
//
// Node 0 is the first primary. Nothing here throws away what went wrong: a wait that fails throws
// HarnessError with the ends of all logs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/conninfo.h"
#include "common/io/pg_connection.h"
#include "tests/support/network.h"
#include "tests/support/pgpool_server.h"
#include "tests/support/place.h"
#include "tests/support/placeholders.h"
#include "tests/support/postgres_server.h"
#include "tests/support/ssh_server.h"

namespace hooks::harness {

struct ClusterOptions {
    NetworkMode network = NetworkMode::namespaces;
    int nodes = 3;
    // Empty: in the server account's home inside a sandbox, a new directory in $TMPDIR elsewhere.
    std::string base_directory;
    bool keep = false;         // leave everything running and in place at the end
    bool announce = true;      // one line on stdout about how long the start took
    bool synchronous = false;  // synchronous_standby_names = 'ANY 1 (*)'
    bool with_pgpool = true;
    std::string data_name = "data";  // of the data directories, in those of their nodes
    int disk_megabytes = 0;  // not 0: each node has a disk of its own, that can be filled up

    std::map<std::string, std::string> postgres_settings;
    std::map<std::string, std::string> pgpool_settings;  // added to the defaults, or override them
    std::string hooks_conf;                              // more lines for hooks.conf

    std::string hooks_bin_dir;  // empty: where this build puts the executables
    // nullopt: the installed hook with the arguments of DESIGN section 3. Empty: none.
    std::optional<std::string> failover_command;
    std::optional<std::string> follow_primary_command;
    // Text of the files in PGDATA. nullopt: the two-line wrappers around the installed hooks.
    std::optional<std::string> recovery_1st_stage;
    std::optional<std::string> pgpool_remote_start;

    // In loopback mode: the first ones from here on that are free.
    int pgpool_port = 9999;
    int pcp_port = 9898;
    // Empty: the newest that is installed. Another: also what the hooks are told.
    std::string postgres_bin_dir;
};

// A line of pgpool's list of backends.
struct PoolNode {
    int id = -1;
    std::string status;         // up, waiting, down, unused
    std::string role;           // primary, standby
    std::string actual_status;  // what pgpool sees when it looks now; empty before 4.3
    std::string actual_role;

    // "waiting" becomes "up" with the first client.
    bool attached() const { return status == "up" || status == "waiting"; }
};

// What a node says of itself. `serving` is false when it does not answer.
struct NodeView {
    int id = -1;
    bool serving = false;
    std::string why_not;
    bool in_recovery = false;
    int timeline = 0;             // as it writes or receives WAL; 0 when it does neither
    std::string receiver_status;  // "streaming"; empty without a WAL receiver
    std::string sender_host;
    int sender_port = 0;
};

class Cluster {
  public:
    explicit Cluster(ClusterOptions options = {});
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    // Returns when every standby streams and pgpool serves clients and shows every node as up.
    void start();
    // Ends everything and removes the files; the destructor does it unless `keep` is set.
    void stop();

    // ---- names
    const ClusterOptions& options() const { return options_; }
    int size() const { return options_.nodes; }
    const Account& account() const { return account_; }
    const std::string& base_directory() const { return base_; }
    std::string host(int node) const { return network_->host(node); }
    int port(int node) const { return network_->postgres_port(node); }
    std::string node_directory(int node) const { return base_ + "/node" + std::to_string(node); }
    std::string data_directory(int node) const { return server(node).data_directory(); }
    std::string postgres_bin_dir() const { return postgres_bin_dir_; }
    int postgres_major() const { return postgres_major_; }
    std::string hooks_conf_path() const { return base_ + "/hooks.conf"; }
    std::string state_dir() const { return base_ + "/state"; }
    std::string passfile() const { return base_ + "/pgpass"; }
    std::string hook_path(const std::string& name) const { return base_ + "/bin/" + name; }
    Conninfo conninfo(int node) const;                     // as superuser, directly
    Conninfo pool_conninfo() const;                        // as superuser, through pgpool
    int node_at(const std::string& host, int port) const;  // -1: none

    // ---- faults
    // With asynchronous replication a commit can be acknowledged and die with its server before
    // any standby has it; no hook can bring it back. So that tests can demand every acknowledged
    // row, the faults that take a primary away strike between two commits of the writers, when
    // its standbys (those that listen) have received everything.
    void kill_postgres(int node);
    void freeze_postgres(int node);
    void cut_host(int node);
    void cut_network(int node) { network_->cut_host(node); }
    // At any moment. For synchronous clusters, and where rows are not counted.
    void kill_postgres_at_once(int node) { server(node).kill(); }
    void stop_postgres(int node, StopMode mode = StopMode::fast) { server(node).stop(mode); }
    void start_postgres(int node) { server(node).start(); }
    bool postgres_runs(int node) const { return server(node).running(); }
    void thaw_postgres(int node) { server(node).thaw(); }
    void wipe(int node);  // removes the data directory of a stopped node
    void kill_sshd(int node) { sshd(node).kill(); }
    void start_sshd(int node) { sshd(node).start(); }
    void heal_host(int node) { network_->heal_host(node); }
    void cut_one_way(int from, int to) { network_->cut_one_way(from, to); }
    void heal_one_way(int from, int to) { network_->heal_one_way(from, to); }
    // With disk_megabytes. A server that writes keeps its disk from becoming read-only.
    void fill_disk(int node) const;
    void free_disk(int node) const;
    void set_disk_read_only(int node, bool read_only) const;
    const PostgresServer& server(int node) const;
    SshServer& sshd(int node);
    PgpoolServer& pgpool() { return *pgpool_; }
    const Network& network() const { return *network_; }
    Network& network() { return *network_; }  // cuts at once, at any moment

    // No Writer commits while this is held.
    std::unique_lock<std::mutex> pause_writers() const {
        return std::unique_lock<std::mutex>(commit_gate_);
    }

    // Returns after a while also when some never will.
    void wait_until_standbys_have_all(int node) const;

    // ---- asking
    // One statement on a new connection. Throw hooks::Error as PgConnection does.
    std::vector<PgRow> sql(int node, std::string_view statement,
                           Milliseconds timeout = std::chrono::seconds(10)) const;
    std::string sql_value(int node, std::string_view statement) const;
    std::vector<PgRow> pgpool_sql(std::string_view statement,
                                  Milliseconds timeout = std::chrono::seconds(10)) const;
    std::string start_time(int node) const;  // pg_postmaster_start_time()
    NodeView view(int node) const;
    // Out of recovery and takes a write, as seen from where the clients are.
    std::vector<int> writable_nodes() const;
    std::optional<int> primary() const;  // the writable node, when there is exactly one
    std::vector<PoolNode> pool_status() const;
    Outcome pcp(const std::string& tool, std::vector<std::string> arguments) const;
    // Why the node is not a healthy standby of the present primary (in recovery, streaming on its
    // timeline, slot active, replays a row written now); empty when it is.
    std::string streaming_problem(int node) const;
    std::string topology() const;  // who streams from whom, drawn

    // ---- hooks, run as pgpool's account where pgpool is
    Outcome run_hook(const std::string& name, std::vector<std::string> arguments,
                     const Environment& environment = {},
                     Milliseconds timeout = std::chrono::seconds(120)) const;
    // For a SteppedHook.
    Command hook_command(const std::string& name, std::vector<std::string> arguments) const;
    // What the placeholders are when pgpool lost `node`. new_main and old_primary may be -1.
    Placeholders placeholders(int node, int new_main, int old_primary) const;
    // By way of /bin/sh -c, as pgpool does.
    Outcome run_shell(const std::string& command_line, const Environment& environment = {},
                      Milliseconds timeout = std::chrono::seconds(120)) const;
    // The lines of pgpool.conf, placeholders included.
    std::string failover_command_line() const;
    std::string follow_primary_command_line() const;

    // ---- logs
    std::string hook_log() const;  // every file in state_dir
    std::string pgpool_log() const;
    std::string server_log(int node) const { return server(node).log(); }
    std::string dump() const;  // topology, pool and the ends of all logs

    // Asks every 20 ms. hooks::Error and HarnessError from the predicate mean "not yet". Throws
    // HarnessError with a dump() when the time is over.
    void wait_until(const std::function<bool()>& predicate, Milliseconds timeout,
                    std::string_view what) const;

  private:
    struct Node {
        std::unique_ptr<PostgresServer> server;
        std::unique_ptr<SshServer> sshd;
    };
    void create_directories();
    void copy_hooks() const;
    void start_hosts();   // network and sshd
    void create_nodes();  // data directories
    void write_pgpool_files() const;
    void install_home_files() const;
    static void bound_waits_of_pgpool();

    ClusterOptions options_;
    Account account_;
    std::string base_;
    std::string postgres_bin_dir_;
    int postgres_major_ = 0;
    std::unique_ptr<Network> network_;
    std::unique_ptr<Place> hub_;
    std::vector<Node> nodes_;
    std::unique_ptr<PgpoolServer> pgpool_;
    bool started_ = false;
    mutable std::mutex commit_gate_;
};

}  // namespace hooks::harness
