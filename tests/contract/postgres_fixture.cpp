#include "tests/contract/postgres_fixture.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "common/io/pg_connection.h"
#include "common/io/process.h"

namespace hooks::contract {
namespace {

std::string server_bin_dir() {
    const Outcome outcome =
        run_process({{"pg_config", "--bindir"}, {}, {}}, Deadline::after(seconds(20)));
    if (!outcome.ok() || outcome.out.empty()) {
        throw std::runtime_error("pg_config: " + outcome.describe());
    }
    return outcome.out.substr(0, outcome.out.find('\n'));
}

// In a passfile, : and \ are escaped.
std::string escaped(std::string_view word) {
    std::string result;
    for (const char c : word) {
        result += c == ':' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    return result;
}

}  // namespace

PostgresFixture::PostgresFixture(bool standby) : bin_dir_(server_bin_dir()) {
    if (::geteuid() == 0) {
        user_ = "postgres";
        const passwd* account = ::getpwnam(user_.c_str());
        if (account == nullptr ||
            ::chown(directory_.path().c_str(), account->pw_uid, account->pw_gid) != 0) {
            throw std::runtime_error("there is no user postgres");
        }
    }
    const std::string data = directory_ / "data";
    write_file(directory_ / "password", kPassword);
    run_as_server_user({bin_dir_ + "/initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256",
                        "--pwfile=" + (directory_ / "password"), "--no-sync", "-E", "UTF8",
                        "--locale=C"});
    write_file(passfile(), "*:*:*:postgres:" + escaped(kPassword) + "\n", 0600);
    if (standby) {
        run_as_server_user({"touch", data + "/standby.signal"});
    }
    // Somebody else may take the port between its choice and the server's bind().
    for (int attempt = 0; attempt < 5; ++attempt) {
        port_ = free_port();
        daemon_ = std::make_unique<Daemon>(
            std::vector<std::string>{
                bin_dir_ + "/postgres", "-D", data, "-p", std::to_string(port_), "-c",
                "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + directory_.path(),
                "-c", "fsync=off", "-c", standby ? "hot_standby=off" : "hot_standby=on"},
            directory_ / "log", user_);
        const bool ready = becomes_true(
            [&] {
                const PgAnswer answer =
                    PgConnection::open(target(), "fixture", Deadline::after(seconds(10)));
                return !daemon_->running() || answer.kind == (standby ? PgAnswer::Kind::rejecting
                                                                      : PgAnswer::Kind::serving);
            },
            seconds(60));
        if (ready && daemon_->running()) {
            return;
        }
    }
    throw std::runtime_error("PostgreSQL does not start: " + log());
}

Conninfo PostgresFixture::target() const {
    Conninfo target;
    target.set("host", "127.0.0.1")
        .set("port", std::to_string(port_))
        .set("user", "postgres")
        .set("dbname", "postgres")
        .set("passfile", passfile());
    return target;
}

void PostgresFixture::run_as_server_user(std::vector<std::string> argv) {
    if (!user_.empty()) {
        argv.insert(argv.begin(), {"runuser", "-u", user_, "--"});
    }
    const Outcome outcome = run_process({std::move(argv), {}, {}}, Deadline::after(seconds(60)));
    if (!outcome.ok()) {
        throw std::runtime_error("preparing PostgreSQL: " + outcome.describe());
    }
}

}  // namespace hooks::contract
