// PgConnection against a real server, and against what only looks like one.
#include "common/io/pg_connection.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/contract/contract_support.h"
#include "tests/contract/postgres_fixture.h"

namespace hooks::contract {
namespace {

Deadline soon() {
    return Deadline::after(seconds(20));
}

class PgConnectionTest : public testing::Test {
  protected:
    static void SetUpTestSuite() { server_ = std::make_unique<PostgresFixture>(); }
    static void TearDownTestSuite() { server_.reset(); }

    static PgAnswer open(const Conninfo& target, Deadline deadline = soon()) {
        return PgConnection::open(target, "contract test", deadline);
    }
    static std::unique_ptr<PgConnection> connect() {
        return PgConnection::connect(server_->target(), "contract test", soon());
    }
    static Conninfo target_at(int port) {
        Conninfo target = server_->target();
        target.set("port", std::to_string(port));
        return target;
    }
    // A serving answer has a connection, and every other has a reason in one line.
    static void expect_kind(const PgAnswer& answer, PgAnswer::Kind kind) {
        EXPECT_STREQ(to_string(answer.kind), to_string(kind)) << answer.detail;
        EXPECT_EQ(answer.connection != nullptr, kind == PgAnswer::Kind::serving);
        EXPECT_NE(answer.detail, "");
        EXPECT_LACKS(answer.detail, "\n");
        EXPECT_LACKS(answer.detail, "LOCATION");
    }

    static std::unique_ptr<PostgresFixture> server_;
};

std::unique_ptr<PostgresFixture> PgConnectionTest::server_;

TEST_F(PgConnectionTest, AServingServer) {
    const PgAnswer answer = open(server_->target());
    expect_kind(answer, PgAnswer::Kind::serving);
    PgConnection& connection = *answer.connection;
    EXPECT_GE(connection.major_version(), 10);
    EXPECT_EQ(connection.label(), "127.0.0.1:" + std::to_string(server_->port()));
    EXPECT_EQ(connection.value("select 1 + 1", soon()), "2");
}

TEST_F(PgConnectionTest, TheSessionIsPinned) {
    const auto connection = connect();
    const std::pair<const char*, const char*> settings[] = {
        {"search_path", "pg_catalog"},
        {"synchronous_commit", "local"},
        {"statement_timeout", "0"},
        {"lock_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
        {"client_encoding", "UTF8"},
        {"application_name", "contract test"},
    };
    for (const auto& [name, value] : settings) {
        EXPECT_EQ(connection->value(std::string("show ") + name, soon()), value) << name;
    }
}

TEST_F(PgConnectionTest, OptionsOfTheTargetAreKept) {
    Conninfo target = server_->target();
    target.set("options", "-c work_mem=7MB -c search_path=evil");
    const PgAnswer answer = open(target);
    expect_kind(answer, PgAnswer::Kind::serving);
    EXPECT_EQ(answer.connection->value("show work_mem", soon()), "7MB");
    EXPECT_EQ(answer.connection->value("show search_path", soon()), "pg_catalog");
}

TEST_F(PgConnectionTest, ByNameAndBySocket) {
    Conninfo by_name = server_->target();
    by_name.set("host", "localhost");  // ::1 as well, where nothing listens
    expect_kind(open(by_name), PgAnswer::Kind::serving);
    Conninfo by_socket = server_->target();
    by_socket.set("host", server_->socket_directory());
    expect_kind(open(by_socket), PgAnswer::Kind::serving);
}

TEST_F(PgConnectionTest, AWrongPassword) {
    Conninfo target = server_->target();
    target.set("password", "wrong-secret-4711");
    const PgAnswer answer = open(target);
    expect_kind(answer, PgAnswer::Kind::denied);
    EXPECT_EQ(answer.sqlstate, "28P01");
    EXPECT_CONTAINS(answer.detail, "password authentication failed");
    EXPECT_CONTAINS(answer.hint, "mode 0600");
    EXPECT_LACKS(answer.detail + answer.hint, "wrong-secret-4711");

    ASSERT_ERROR(error, ErrorKind::unreachable, PgConnection::connect(target, "test", soon()));
    EXPECT_CONTAINS(error->hint(), server_->passfile());
    EXPECT_LACKS(std::string(error->what()) + error->hint(), "wrong-secret-4711");
}

TEST_F(PgConnectionTest, NoPassword) {
    Conninfo target = server_->target();
    target.set("passfile", "/nonexistent");
    const PgAnswer answer = open(target);
    expect_kind(answer, PgAnswer::Kind::denied);
    EXPECT_CONTAINS(answer.hint, "/nonexistent");
}

TEST_F(PgConnectionTest, NoSuchRoleOrDatabase) {
    Conninfo role = server_->target();
    role.set("user", "nobody_here").set("password", "x");
    expect_kind(open(role), PgAnswer::Kind::denied);
    Conninfo database = server_->target();
    database.set("dbname", "not here");
    const PgAnswer answer = open(database);
    expect_kind(answer, PgAnswer::Kind::denied);
    EXPECT_EQ(answer.sqlstate, "3D000");
    EXPECT_CONTAINS(answer.hint, "postgres_database");
}

TEST_F(PgConnectionTest, NoEntryInPgHba) {
    const auto connection = connect();
    connection->query("create role outsider login password 'x'", soon());
    const std::string hba = connection->value("show hba_file", soon());
    const std::string before = file_text(hba);
    write_file(hba, "host all outsider 127.0.0.1/32 reject\n" + before, 0600);
    connection->query("select pg_reload_conf()", soon());
    Conninfo target = server_->target();
    target.set("user", "outsider").set("password", "x");
    PgAnswer answer;
    EXPECT_TRUE(becomes_true([&] {
        answer = open(target);
        return answer.kind == PgAnswer::Kind::denied;
    }));
    EXPECT_CONTAINS(answer.hint, "pg_hba.conf");
    write_file(hba, before, 0600);
    connection->query("select pg_reload_conf()", soon());
    connection->query("drop role outsider", soon());
}

TEST_F(PgConnectionTest, ARefusedPort) {
    const PgAnswer answer = open(target_at(free_port()));
    expect_kind(answer, PgAnswer::Kind::refused);
    EXPECT_CONTAINS(answer.hint, "listen_addresses");
    Conninfo by_name = target_at(free_port());
    by_name.set("host", "localhost");
    expect_kind(open(by_name), PgAnswer::Kind::refused);
    Conninfo by_socket = server_->target();
    by_socket.set("host", "/nonexistent");
    expect_kind(open(by_socket), PgAnswer::Kind::refused);
}

TEST_F(PgConnectionTest, AListenerThatAcceptsAndHangs) {
    const Listener silent;
    const Stopwatch watch;
    const PgAnswer answer = open(target_at(silent.port()), Deadline::after(milliseconds(400)));
    expect_kind(answer, PgAnswer::Kind::silent);
    EXPECT_CONTAINS(answer.detail, "said nothing");
    EXPECT_GE(watch.elapsed(), milliseconds(400));
    EXPECT_LT(watch.elapsed(), seconds(3));
    ASSERT_ERROR(
        error, ErrorKind::timeout,
        PgConnection::connect(target_at(silent.port()), "test", Deadline::after(milliseconds(50))));
}

TEST_F(PgConnectionTest, AListenerThatHangsUp) {
    // As a server does while it is being killed, or a proxy without a server: no answer.
    const Listener listener;
    std::atomic<int> accepted{0};
    std::thread rude([&] {
        for (;;) {
            const UniqueFd client(::accept(listener.fd(), nullptr, nullptr));
            if (!client) {
                return;
            }
            ++accepted;
        }
    });
    const PgAnswer answer = open(target_at(listener.port()));
    ::shutdown(listener.fd(), SHUT_RDWR);
    rude.join();
    expect_kind(answer, PgAnswer::Kind::silent);
    EXPECT_GT(accepted, 1);  // it may have been in the middle of something
}

TEST_F(PgConnectionTest, AHostThatDoesNotResolve) {
    Conninfo target = server_->target();
    target.set("host", "no..such.host");
    const PgAnswer answer = open(target);
    expect_kind(answer, PgAnswer::Kind::silent);
    EXPECT_CONTAINS(answer.detail, "does not resolve");
    ASSERT_ERROR(error, ErrorKind::unreachable, PgConnection::connect(target, "test", soon()));
}

TEST_F(PgConnectionTest, AStoppedPostmasterIsSilent) {
    const Stopped stopped({server_->pid()});
    expect_kind(open(server_->target(), Deadline::after(milliseconds(300))),
                PgAnswer::Kind::silent);
}

TEST_F(PgConnectionTest, AServerThatRejectsConnections) {
    const PostgresFixture standby(true);
    const PgAnswer answer = open(standby.target());
    expect_kind(answer, PgAnswer::Kind::rejecting);
    EXPECT_EQ(answer.sqlstate, "57P03");
    EXPECT_CONTAINS(answer.detail, "57P03");
    ASSERT_ERROR(error, ErrorKind::unreachable,
                 PgConnection::connect(standby.target(), "test", soon()));
}

TEST_F(PgConnectionTest, TooManyConnections) {
    const auto first = connect();
    first->query("create role narrow login connection limit 0 password 'x'", soon());
    Conninfo target = server_->target();
    target.set("user", "narrow").set("password", "x");
    const PgAnswer answer = open(target);
    expect_kind(answer, PgAnswer::Kind::denied);
    EXPECT_EQ(answer.sqlstate, "53300");
    first->query("drop role narrow", soon());
}

TEST_F(PgConnectionTest, RowsWithNullsAndBytes) {
    const auto connection = connect();
    const auto rows = connection->query(
        "select n, nullif(n, 2), 'ä' || repeat('x', n) from generate_series(1, 2) n", soon());
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0], (PgRow{"1", "1", "äx"}));
    EXPECT_EQ(rows[1], (PgRow{"2", std::nullopt, "äxx"}));
    EXPECT_TRUE(connection->query("select 1 where false", soon()).empty());
}

TEST_F(PgConnectionTest, SeveralStatements) {
    const auto connection = connect();
    const PgOutcome good = connection->execute("select 1; select 2; create temp table t()", soon());
    EXPECT_TRUE(good.ok);
    EXPECT_TRUE(good.rows.empty());
    EXPECT_EQ(connection->value("select 1; select 2", soon()), "2");
    const PgOutcome bad = connection->execute("select 1; select 1/0; select nope", soon());
    EXPECT_FALSE(bad.ok);
    EXPECT_EQ(bad.sqlstate, "22012");
    EXPECT_TRUE(connection->execute("", soon()).ok);
}

TEST_F(PgConnectionTest, AStatementErrorIsAValueAndLeavesTheConnectionUsable) {
    const auto connection = connect();
    const PgOutcome outcome = connection->execute(
        "do $$ begin raise exception 'no\nway' using detail = 'because', "
        "hint = 'do not', errcode = '42710'; end $$",
        soon());
    EXPECT_FALSE(outcome.ok);
    EXPECT_EQ(outcome.sqlstate, "42710");
    EXPECT_EQ(outcome.message, "no; way; because; do not");
    ASSERT_ERROR(error, ErrorKind::sql, connection->query("select nope", soon()));
    EXPECT_CONTAINS(error->message(), "42703");
    EXPECT_CONTAINS(error->message(), connection->label());
    ASSERT_ERROR(none, ErrorKind::sql, connection->value("select 1 where false", soon()));
    ASSERT_ERROR(null, ErrorKind::sql, connection->value("select null", soon()));
    EXPECT_EQ(connection->value("select 1", soon()), "1");
}

TEST_F(PgConnectionTest, NoticesGoNowhere) {
    const auto connection = connect();
    testing::internal::CaptureStderr();
    EXPECT_TRUE(connection->execute("do $$ begin raise warning 'noise'; end $$", soon()).ok);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(PgConnectionTest, ADeadlineHoldsAndEndsTheConnection) {
    const auto connection = connect();
    const int version = connection->server_version();
    const Stopwatch watch;
    ASSERT_ERROR(late, ErrorKind::timeout,
                 connection->execute("select pg_sleep(300)", Deadline::after(milliseconds(300))));
    EXPECT_CONTAINS(late->message(), "not known");
    EXPECT_LT(watch.elapsed(), seconds(3));
    ASSERT_ERROR(after, ErrorKind::unreachable, connection->execute("select 1", soon()));
    EXPECT_EQ(connection->server_version(), version);
}

TEST_F(PgConnectionTest, AStoppedServerInTheMiddleOfAQuery) {
    const auto connection = connect();
    const pid_t backend = std::stoi(connection->value("select pg_backend_pid()", soon()));
    const Stopped stopped({backend});
    const Stopwatch watch;
    // Larger than what the sockets take: it cannot even be sent.
    ASSERT_ERROR(error, ErrorKind::timeout,
                 connection->execute("select '" + std::string(32 << 20, 'x') + "'",
                                     Deadline::after(milliseconds(500))));
    EXPECT_LT(watch.elapsed(), seconds(3));
}

TEST_F(PgConnectionTest, ALargeStatementAndALargeAnswer) {
    const auto connection = connect();
    const std::string large(16 << 20, 'x');
    EXPECT_TRUE(connection->value("select '" + large + "'", soon()) == large);
}

TEST_F(PgConnectionTest, AConnectionThatBreaksInTheMiddleOfAQuery) {
    const auto connection = connect();
    const std::string backend = connection->value("select pg_backend_pid()", soon());
    std::thread killer([&] {
        const auto other = connect();
        EXPECT_TRUE(becomes_true([&] {
            return other->value("select count(*) from pg_stat_activity where pid = " + backend +
                                    " and query like '%pg_sleep%' and state = 'active'",
                                soon()) == "1";
        }));
        other->query("select pg_terminate_backend(" + backend + ")", soon());
    });
    ASSERT_ERROR(error, ErrorKind::unreachable,
                 connection->execute("select pg_sleep(300)", soon()));
    killer.join();
    EXPECT_CONTAINS(error->message(), "lost");
    ASSERT_ERROR(after, ErrorKind::unreachable, connection->execute("select 1", soon()));
}

TEST_F(PgConnectionTest, CopyIsRefusedAndDoesNotHang) {
    const auto connection = connect();
    ASSERT_ERROR(error, ErrorKind::internal,
                 connection->execute("copy (select 1) to stdout", soon()));
}

}  // namespace
}  // namespace hooks::contract
