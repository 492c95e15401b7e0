#include "tests/oracle/lab.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/io/process.h"
#include "tests/support/place.h"

namespace hooks::oracle {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

// What a loaded machine may need; nothing here waits for it to pass.
Deadline patience() {
    return Deadline::after(seconds(90));
}

void pause_briefly(const Deadline& deadline, const std::string& what) {
    if (deadline.expired()) {
        throw harness::HarnessError("waited in vain: " + what);
    }
    std::this_thread::sleep_for(milliseconds(5));
}

// The postmaster and its children all stand in the data directory.
bool anybody_works_in(const std::string& directory) {
    for (const auto& process : fs::directory_iterator("/proc")) {
        std::error_code gone;
        if (fs::read_symlink(process.path() / "cwd", gone) == directory) {
            return true;
        }
    }
    return false;
}

Lsn as_lsn(const std::string& text) {
    return parse_lsn(text).value();
}

}  // namespace

Server::Server(Lab& lab, std::string name, int port)
    : lab_(lab), name_(std::move(name)), port_(port) {
}

std::string Server::directory() const {
    return lab_.path(name_);
}

Backend Server::backend(int id) const {
    return {id, lab_.path("s"), port_, directory(), ""};
}

void Server::start(std::chrono::seconds at_most) {
    lab_.run({lab_.bin_dir() + "/pg_ctl", "-D", directory(), "-W", "-s", "-l", directory() + ".log",
              "start"});
    const Deadline deadline = Deadline::after(at_most);
    Conninfo target;
    target.set("host", lab_.path("s")).set("port", std::to_string(port_));
    target.set("user", "postgres").set("dbname", "postgres");
    for (bool seen = false;;) {
        PgAnswer answer = PgConnection::open(target, "oracle", deadline);
        if (answer.kind == PgAnswer::Kind::serving) {
            connection_ = std::move(answer.connection);
            return;
        }
        // pg_ctl returns before the server stands in its directory.
        const bool runs = running();
        if (seen && !runs) {
            throw harness::HarnessError(name_ + " ended at once:\n" +
                                        harness::read_file(directory() + ".log"));
        }
        seen = runs;
        pause_briefly(deadline, name_ + " starts: " + answer.detail);
    }
}

bool Server::running() const {
    return anybody_works_in(directory());
}

void Server::stop() {
    connection_.reset();
    lab_.run({lab_.bin_dir() + "/pg_ctl", "-D", directory(), "-W", "-s", "-m", "fast", "stop"});
    for (const Deadline deadline = patience(); running();) {
        pause_briefly(deadline, name_ + " stops");
    }
}

void Server::kill() {
    connection_.reset();
    std::ifstream file(directory() + "/postmaster.pid");
    pid_t pid = 0;
    file >> pid;
    if (pid <= 1 || ::kill(pid, SIGKILL) != 0) {
        throw harness::HarnessError(name_ + " does not run");
    }
    for (const Deadline deadline = patience(); running();) {
        pause_briefly(deadline, name_ + " ends");
    }
}

PgConnection& Server::sql() {
    return *connection_;
}

std::string Server::value(const std::string& statement) {
    return connection_->value(statement, patience());
}

void Server::write(int rows) {
    connection_->query(fmt::format("INSERT INTO public.t SELECT '{} ' || i || repeat(' long', 40)"
                                   " FROM generate_series(1, {}) AS i",
                                   name_, rows),
                       patience());
}

void Server::erase(const std::string& row) {
    connection_->query(fmt::format("DELETE FROM public.t WHERE v LIKE '{} %'", row), patience());
}

void Server::checkpoint() {
    connection_->query("CHECKPOINT", patience());
}

void Server::promote() {
    connection_->query("SELECT pg_promote(false)", patience());
    wait_for("NOT pg_is_in_recovery()");
}

Lsn Server::flushed() {
    return as_lsn(value("SELECT pg_current_wal_flush_lsn()"));
}

void Server::wait_for(const std::string& condition) {
    const Deadline deadline = patience();
    while (connection_->query("SELECT " + condition, deadline).at(0).at(0) != "t") {
        pause_briefly(deadline, name_ + ": " + condition);
    }
}

void Server::receive_all_of(Server& upstream) {
    wait_for(fmt::format("pg_last_wal_receive_lsn() >= '{}'", upstream.flushed()));
}

void Server::replay_all_of(Server& upstream) {
    const std::string end = upstream.value(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
        " ELSE pg_current_wal_flush_lsn() END");
    wait_for(fmt::format("pg_last_wal_replay_lsn() >= '{}'", end));
}

void Server::churn() {
    for (int i = 0; i < 6; ++i) {
        write(50);
        connection_->query("SELECT pg_switch_wal()", patience());
        checkpoint();
    }
}

std::string Server::digest() {
    return value("SELECT count(*) || ' rows ' || md5(string_agg(v, ',' ORDER BY v)) FROM public.t");
}

void Server::configure(bool keep_wal, const Server* upstream) {
    std::ofstream conf(directory() + "/postgresql.conf");
    conf << "port = " << port_ << "\nlisten_addresses = ''\nunix_socket_directories = '"
         << lab_.path("s") << "'\n"
         << "fsync = off\nshared_buffers = 16MB\nmax_connections = 20\nautovacuum = off\n"
            "min_wal_size = 2MB\nmax_wal_size = 200MB\ncheckpoint_timeout = 1h\n"
            "wal_retrieve_retry_interval = 100ms\nrestart_after_crash = off\n"
         << "wal_keep_size = " << (keep_wal ? "200MB" : "0") << "\n";
    if (upstream != nullptr) {
        conf << "primary_conninfo = 'host=" << lab_.path("s") << " port=" << upstream->port_
             << " user=postgres'\n";
    }
}

void Server::cut_wal(TimelineId timeline, Lsn from) {
    const std::string first = wal_segment_name(timeline, from, Lab::segment_size);
    for (const auto& entry : fs::directory_iterator(directory() + "/pg_wal")) {
        const std::string name = entry.path().filename();
        if (name.size() == 24 && name.substr(0, 8) == first.substr(0, 8) && name > first) {
            fs::remove(entry.path());
        }
    }
    std::fstream file(directory() + "/pg_wal/" + first,
                      std::ios::in | std::ios::out | std::ios::binary);
    const std::uint64_t offset = from.value % Lab::segment_size;
    file.seekp(static_cast<std::streamoff>(offset));
    file << std::string(Lab::segment_size - offset, '\0');
    if (!file.flush()) {
        throw harness::HarnessError("cannot cut " + first + " of " + name_);
    }
}

Lab::Lab() : bin_dir_(harness::find_postgres_bin_dir()) {
    root_ = harness::Account::for_servers().home + "/oracle-XXXXXX";
    if (::mkdtemp(root_.data()) == nullptr) {
        throw harness::HarnessError("mkdtemp " + root_);
    }
    fs::create_directory(path("s"));
}

Lab::~Lab() {
    for (Server& server : servers_) {
        try {
            if (server.running()) {
                server.kill();
            }
        } catch (const std::exception&) {
            // The sandbox ends it.
        }
    }
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::string Lab::run(std::vector<std::string> argv) const {
    const Outcome outcome = run_process({argv, {}, {}}, patience());
    if (!outcome.ok()) {
        throw harness::HarnessError(argv[0] + ": " + outcome.describe());
    }
    return outcome.out;
}

Server& Lab::add(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return servers_.emplace_back(*this, name, next_port_++);
}

Server& Lab::initdb(const std::string& name) {
    Server& server = add(name);
    run({bin_dir_ + "/initdb", "-D", server.directory(), "-U", "postgres", "-A", "trust", "-k",
         "--wal-segsize=1", "--no-sync", "-E", "UTF8", "--locale=C"});
    server.configure(true, nullptr);
    server.start();
    // Two databases less to copy with every directory.
    server.sql().query("UPDATE pg_database SET datistemplate = false", patience());
    server.sql().query("DROP DATABASE template0", patience());
    server.sql().query("DROP DATABASE template1", patience());
    server.sql().query("CREATE TABLE public.t (v text)", patience());
    server.write(100);
    server.stop();
    return server;
}

Server& Lab::copy(const Server& from, const std::string& name, bool keep_wal) {
    Server& server = add(name);
    fs::copy(from.directory(), server.directory(), fs::copy_options::recursive);
    fs::permissions(server.directory(), fs::perms::owner_all);
    fs::remove(server.directory() + "/postmaster.pid");
    server.configure(keep_wal, nullptr);
    return server;
}

Server& Lab::standby(const Server& from, const std::string& name, const Server* upstream) {
    Server& server = copy(from, name);
    std::ofstream(server.directory() + "/standby.signal").flush();
    server.configure(true, upstream);
    return server;
}

void Lab::remove(const Server& server) {
    std::error_code ignored;
    fs::remove_all(server.directory(), ignored);
    fs::remove_all(server.directory() + ".pgpool-hooks", ignored);
    fs::remove(server.directory() + ".log", ignored);
}

}  // namespace hooks::oracle
