#include "tests/support/cluster.h"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>
#include <utility>

#include "common/core/error.h"
#include "tests/support/cluster_files.h"
#include "tests/support/disk.h"
#include "tests/support/free_port.h"
#include "tests/support/process_table.h"
#include "tests/support/sandbox.h"
#include "tests/support/teardown.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHookNames[] = {"failover_command", "follow_primary_command",
                                      "recovery_1st_stage", "pgpool_remote_start", "pgpool_hooks"};

// libpq would take its defaults from these, in the servers' children too.
void forget_libpq_environment() {
    for (const char* name : {"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD",
                             "PGPASSFILE", "PGSERVICE", "PGOPTIONS", "PGSSLMODE", "PGDATA",
                             "PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS", "PCPPASSFILE"}) {
        ::unsetenv(name);
    }
}

std::string choose_base(const ClusterOptions& options, const Account& account) {
    if (!options.base_directory.empty()) {
        return options.base_directory;
    }
    if (in_sandbox()) {
        return account.home + "/cluster";
    }
    const char* temporary = std::getenv("TMPDIR");
    std::string path =
        std::string(temporary != nullptr ? temporary : "/tmp") + "/pgpool-hooks-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        throw HarnessError("cannot create a directory like " + path);
    }
    return path;
}

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
    forget_libpq_environment();
    account_ = Account::for_servers();
    // Without symbolic links: /proc shows working directories like that.
    base_ = fs::weakly_canonical(choose_base(options_, account_));
    postgres_bin_dir_ =
        options_.postgres_bin_dir.empty() ? find_postgres_bin_dir() : options_.postgres_bin_dir;
    postgres_major_ = major_version_of(postgres_bin_dir_);
    if (options_.hooks_bin_dir.empty()) {
        options_.hooks_bin_dir = HOOKS_BIN_DIR;
    }
    if (options_.network == NetworkMode::loopback || options_.network == NetworkMode::sockets) {
        options_.pgpool_port = free_port({"127.0.0.1"}, options_.pgpool_port);
        options_.pcp_port = free_port({"127.0.0.1"}, options_.pcp_port);
    }
    network_ = make_network(options_.network, options_.nodes, base_ + "/hosts");
    hub_ = std::make_unique<Place>(account_);
    for (int node = 0; node < options_.nodes; ++node) {
        const Place place(account_, network_->namespace_path(node));
        const std::string directory = base_ + "/node" + std::to_string(node);
        Node entry;
        entry.server = std::make_unique<PostgresServer>(place, postgres_bin_dir_, directory,
                                                        options_.data_name);
        // Not on the node's disk, which may be full or read-only.
        entry.sshd = std::make_unique<SshServer>(place, base_ + "/ssh/node" + std::to_string(node),
                                                 network_->ssh_host(node), network_->ssh_port());
        nodes_.push_back(std::move(entry));
    }
    pgpool_ = std::make_unique<PgpoolServer>(*hub_, base_ + "/pgpool");
}

Cluster::~Cluster() {
    if (options_.keep) {
        return;
    }
    try {
        stop();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "cluster: %s\n", error.what());
    }
}

const PostgresServer& Cluster::server(int node) const {
    return *nodes_.at(static_cast<std::size_t>(node)).server;
}

SshServer& Cluster::sshd(int node) {
    return *nodes_.at(static_cast<std::size_t>(node)).sshd;
}

void Cluster::start() {
    const auto begin = std::chrono::steady_clock::now();
    const auto elapsed = [begin] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    started_ = true;
    create_directories();
    copy_hooks();
    // Two processors: initdb on one, keys and interfaces on the other.
    std::future<void> data = std::async(std::launch::async, [this] { create_nodes(); });
    start_hosts();
    write_pgpool_files();  // the hooks read them whether pgpool runs or not
    const double hosts_ready = elapsed();
    data.get();
    const double data_ready = elapsed();
    // The primary first: a standby whose first connection fails waits five seconds for the next.
    server(0).start();
    for (int node = 1; node < size(); ++node) {
        server(node).launch();
    }
    for (int node = 1; node < size(); ++node) {
        server(node).wait_until_ready(std::chrono::seconds(30));
    }
    const double servers_ready = elapsed();
    if (options_.with_pgpool) {
        pgpool_->start();
    }
    const auto streaming = [this] {
        const auto rows = sql(0,
                              "SELECT count(*) FROM pg_stat_replication "
                              "WHERE state = 'streaming'");
        return rows.at(0).at(0) == std::to_string(size() - 1);
    };
    wait_until(streaming, std::chrono::seconds(30), "every standby streams");
    if (options_.with_pgpool) {
        const auto all_up = [this] {
            if (!pgpool_->running()) {
                return true;  // nothing to wait for
            }
            int up = 0;
            for (const PoolNode& node : pool_status()) {
                up += node.attached() ? 1 : 0;
            }
            return up == size() && !pgpool_sql("SELECT 1").empty();
        };
        wait_until(all_up, std::chrono::seconds(30), "pgpool serves and shows every node as up");
        if (!pgpool_->running()) {
            throw HarnessError("pgpool ended:\n" + last_lines(pgpool_log(), 20));
        }
    }
    if (!options_.announce) {
        return;
    }
    std::printf("[ cluster  ] %d nodes up in %.2f s (hosts %.2f, data %.2f, servers %.2f)\n",
                size(), elapsed(), hosts_ready, data_ready, servers_ready);
    std::fflush(stdout);
}

void Cluster::stop() {
    if (!started_) {
        return;
    }
    started_ = false;
    if (in_sandbox()) {
        end_everything_else_in_sandbox();
    } else {
        end_cluster(base_);
    }
    network_->tear_down();
    for (int node = 0; options_.disk_megabytes > 0 && node < size(); ++node) {
        unmount_disk(node_directory(node));
    }
    fs::remove_all(base_);
}

void Cluster::create_directories() {
    hub_->make_directory(base_, 0755);
    for (const char* name : {"bin", "hosts", "ssh", "state", "pgpool"}) {
        hub_->make_directory(base_ + "/" + name, 0755);
    }
    for (int node = 0; node < size(); ++node) {
        const std::string directory = node_directory(node);
        hub_->make_directory(directory, 0755);
        if (options_.disk_megabytes > 0) {
            mount_disk(directory, options_.disk_megabytes, account_);
        }
        hub_->make_directory(directory + "/log", 0700);
    }
}

// Copied, because the account may have no way into the build tree (below /root, say).
void Cluster::copy_hooks() const {
    for (const char* name : kHookNames) {
        const fs::path from = fs::path(options_.hooks_bin_dir) / name;
        if (fs::exists(from)) {
            fs::copy_file(from, hook_path(name), fs::copy_options::overwrite_existing);
            fs::permissions(hook_path(name), fs::perms(0755));
        }
    }
}

void Cluster::start_hosts() {
    network_->set_up();
    const std::string key = base_ + "/ssh/id_ed25519";
    make_ssh_key(*hub_, key);
    std::string known_hosts;
    for (const Node& node : nodes_) {
        node.sshd->configure(read_file(key + ".pub"));
        node.sshd->start();
        known_hosts += node.sshd->known_hosts_line();
    }
    hub_->write_file(base_ + "/ssh/known_hosts", known_hosts, 0644);
    const ClusterNames names{options_, *network_, base_, account_.name};
    hub_->write_file(base_ + "/pgpass", harness::passfile());
    hub_->write_file(base_ + "/pcppass", pcp_passfile());
    hub_->write_file(hooks_conf_path(), harness::hooks_conf(names), 0644);
    if (in_sandbox()) {
        install_home_files();
        if (options_.with_pgpool) {
            bound_waits_of_pgpool();
        }
    }
}

// As docs/operations.md has it: Pgpool-II's main process connects to a silent node that it still
// counts as up, and waits for its replication check in the middle of a query to one, for as long as
// the kernel tries.
void Cluster::bound_waits_of_pgpool() {
    for (const auto& [name, value] : {std::pair("syn_retries", 2), std::pair("retries2", 5)}) {
        const std::string path = std::string("/proc/sys/net/ipv4/tcp_") + name;
        if (!(std::ofstream(path) << value << std::flush)) {
            throw HarnessError("cannot write " + path);
        }
    }
}

// Where ssh, libpq, the pcp tools and the sample scripts look when nobody tells them otherwise.
// Only in a sandbox, where the home directory is ours.
void Cluster::install_home_files() const {
    const std::string ssh = account_.home + "/.ssh";
    hub_->make_directory(ssh);
    for (const char* name : {"id_ed25519", "id_rsa_pgpool"}) {
        hub_->write_file(ssh + "/" + name, read_file(base_ + "/ssh/id_ed25519"));
    }
    hub_->write_file(ssh + "/known_hosts", read_file(base_ + "/ssh/known_hosts"));
    hub_->write_file(account_.home + "/.pgpass", harness::passfile());
    hub_->write_file(account_.home + "/.pcppass", pcp_passfile());
}

void Cluster::create_nodes() {
    const ClusterNames names{options_, *network_, base_, account_.name};
    const std::string first = data_directory(0);
    const std::string password_file = base_ + "/initdb_password";
    hub_->write_file(password_file, std::string(Secrets::kSuperuser) + "\n");
    hub_->must_run({postgres_bin_dir_ + "/initdb", "-D", first, "-U", "postgres", "-A",
                    "scram-sha-256", "--pwfile=" + password_file, "-N", "--locale=C", "-E",
                    "UTF8"});
    fs::remove(password_file);

    hub_->write_file(first + "/pg_hba.conf", pg_hba_conf(names));
    hub_->write_file(first + "/postgresql.conf",
                     read_file(first + "/postgresql.conf") + postgres_conf(names));
    hub_->write_file(first + "/recovery_1st_stage", recovery_1st_stage_script(names), 0755);
    hub_->write_file(first + "/pgpool_remote_start", pgpool_remote_start_script(names), 0755);
    for (int node = 0; node < size(); ++node) {
        hub_->write_file(names.node_directory(node) + "/node.conf", node_conf(names, node), 0644);
    }
    // Single-user mode: no start, no login, no stop; and node 0 is shut down cleanly after it, so
    // that plain copies of it are standbys.
    const auto single = [&](const char* database, const std::string& statements) {
        hub_->must_run(
            {postgres_bin_dir_ + "/postgres", "--single", "-D", first, "-c", "exit_on_error=on",
             "-c", "logging_collector=off", "-c", "synchronous_standby_names=", database},
            std::chrono::seconds(60), {}, statements);
    };
    if (fs::equivalent(postgres_bin_dir_, find_postgres_bin_dir())) {  // of Debian's server only
        // recovery_database, which is template1 for good before 4.7.
        single(installed_pgpool() >= 407 ? "postgres" : "template1",
               "CREATE EXTENSION pgpool_recovery\n");
    }
    single("postgres", bootstrap_sql(names));

    for (int node = 1; node < size(); ++node) {
        const std::string directory = data_directory(node);
        hub_->must_run({"cp", "-a", first, directory});
        for (const fs::directory_entry& slot : fs::directory_iterator(directory + "/pg_replslot")) {
            fs::remove_all(slot.path());
        }
        if (postgres_major_ < 12) {
            hub_->write_file(directory + "/recovery.conf",
                             "standby_mode = on\n" + standby_settings(names, node, 0));
        } else {
            hub_->write_file(directory + "/standby.signal", "");
            hub_->write_file(directory + "/postgresql.auto.conf", standby_settings(names, node, 0));
        }
    }
}

void Cluster::write_pgpool_files() const {
    const ClusterNames names{options_, *network_, base_, account_.name};
    const std::string directory = base_ + "/pgpool";
    hub_->write_file(directory + "/pgpool.conf", pgpool_conf(names));
    hub_->write_file(directory + "/pool_hba.conf", pool_hba_conf(names));
    hub_->write_file(directory + "/pool_passwd", pool_passwd());
    std::string digest = hub_->must_run({"pg_md5", Secrets::kPcp});
    hub_->write_file(directory + "/pcp.conf", "pgpool:" + digest);
}

void Cluster::wait_until_standbys_have_all(int node) const {
    try {
        const Deadline deadline = Deadline::after(std::chrono::seconds(1));
        const auto connection = PgConnection::connect(conninfo(node), "harness", deadline);
        if (connection->value("SELECT pg_is_in_recovery()", deadline) == "t") {
            return;
        }
        // All of them, or after a while the one that has most: a test may have silenced others.
        const Deadline for_all = deadline.within(Milliseconds(300));
        for (;;) {
            const std::vector<PgRow> rows = connection->query(
                "SELECT coalesce(bool_and(flush_lsn >= pg_current_wal_flush_lsn()), true), "
                "coalesce(bool_or(flush_lsn >= pg_current_wal_flush_lsn()), true) "
                "FROM pg_stat_replication",
                deadline);
            if (rows.at(0).at(for_all.expired() ? 1 : 0) == "t") {
                return;
            }
        }
    } catch (const Error&) {
        // It does not answer, or nobody listens to it.
    }
}

void Cluster::kill_postgres(int node) {
    const auto pause = pause_writers();
    wait_until_standbys_have_all(node);
    server(node).kill();
}

void Cluster::freeze_postgres(int node) {
    const auto pause = pause_writers();
    wait_until_standbys_have_all(node);
    server(node).freeze();
}

void Cluster::cut_host(int node) {
    const auto pause = pause_writers();
    wait_until_standbys_have_all(node);
    network_->cut_host(node);
}

void Cluster::fill_disk(int node) const {
    harness::fill_disk(node_directory(node));
}

void Cluster::free_disk(int node) const {
    harness::free_disk(node_directory(node));
}

void Cluster::set_disk_read_only(int node, bool read_only) const {
    harness::set_disk_read_only(node_directory(node), read_only);
}

void Cluster::wipe(int node) {
    if (server(node).running()) {
        throw HarnessError("the server of the node to wipe runs");
    }
    free_shared_memory(data_directory(node));
    fs::remove_all(data_directory(node));
}

std::string Cluster::failover_command_line() const {
    return harness::failover_command_line({options_, *network_, base_, account_.name});
}

std::string Cluster::follow_primary_command_line() const {
    return harness::follow_primary_command_line({options_, *network_, base_, account_.name});
}

void Cluster::wait_until(const std::function<bool()>& predicate, Milliseconds timeout,
                         std::string_view what) const {
    const Deadline deadline = Deadline::after(timeout);
    std::string last;
    for (;;) {
        try {
            if (predicate()) {
                return;
            }
            last.clear();
        } catch (const Error& error) {
            last = error.what();
        } catch (const HarnessError& error) {
            last = error.what();
        }
        if (deadline.expired()) {
            throw HarnessError("waited " + std::to_string(timeout.count()) + " ms until " +
                               std::string(what) + (last.empty() ? "" : "; last: " + last) + "\n" +
                               dump());
        }
        std::this_thread::sleep_for(Milliseconds(20));
    }
}

}  // namespace hooks::harness
