// A libpq connection whose every wait is bounded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/conninfo.h"
#include "common/core/deadline.h"

struct pg_conn;

namespace hooks {

using PgRow = std::vector<std::optional<std::string>>;  // nullopt: NULL

// What a server answered to a statement.
struct PgOutcome {
    bool ok = false;
    std::string sqlstate;  // "42710"; empty when ok
    std::string message;   // one line, with detail and hint of the server
    std::vector<PgRow> rows;
};

class PgConnection;

// What a server did when it was asked for a connection.
struct PgAnswer {
    enum class Kind {
        serving,    // connected
        rejecting,  // it runs but does not let anybody in yet, or any more (57P03)
        refused,    // the host answered: nothing listens there
        denied,     // wrong password, no such role or database, pg_hba.conf, too many connections
        silent,     // no answer in time, no route, no such host
    };
    Kind kind = Kind::silent;
    std::string detail;                        // one line, what came back
    std::unique_ptr<PgConnection> connection;  // when serving
    std::string sqlstate;                      // when the server gave one: "28P01"
    std::string hint;                          // what to do about it, when that is known
};
const char* to_string(PgAnswer::Kind kind);

class PgConnection {
  public:
    // Connects under the deadline, name resolution included. What the server answers is a value;
    // throws only Interrupted and Error{internal}. search_path is pinned to pg_catalog,
    // synchronous_commit to local (our own commits must not wait for a standby that is gone),
    // statement_timeout and idle timeouts are off. `application_name` is seen in
    // pg_stat_activity. `target` holds host, port, user, dbname, passfile.
    static PgAnswer open(const Conninfo& target, const std::string& application_name,
                         Deadline deadline);
    // The same, but anything other than `serving` is thrown: Error{unreachable} or
    // Error{timeout}, with a hint where one is known (password, role, pg_hba.conf, port).
    static std::unique_ptr<PgConnection> connect(const Conninfo& target,
                                                 const std::string& application_name,
                                                 Deadline deadline);
    ~PgConnection();
    PgConnection(const PgConnection&) = delete;
    PgConnection& operator=(const PgConnection&) = delete;

    // Another session on the same server as the same role, that also takes the commands of
    // PostgreSQL's replication protocol. The role needs REPLICATION; pg_hba.conf sees the database
    // that this session is in, not "replication". Throws as connect() does.
    std::unique_ptr<PgConnection> open_walsender(Deadline deadline) const;

    // Throws Error{timeout} at the deadline (the connection cannot be used again after that) and
    // Error{unreachable} when it breaks; either way the outcome is not known.
    PgOutcome execute(std::string_view sql, Deadline deadline);
    // The rows; an error of the server is Error{sql} with its SQLSTATE.
    std::vector<PgRow> query(std::string_view sql, Deadline deadline);
    // The one value of the one row; Error{sql} when there is none or it is NULL.
    std::string value(std::string_view sql, Deadline deadline);

    int server_version() const { return server_version_; }  // 150020
    int major_version() const { return server_version() / 10000; }
    const std::string& label() const { return label_; }  // "10.0.0.2:5432"

  private:
    struct Closer {
        void operator()(pg_conn* connection) const;
    };
    using Handle = std::unique_ptr<pg_conn, Closer>;
    struct Attempt;
    PgConnection(Handle connection, std::string label, Conninfo target);
    void lift_limits(Deadline deadline);
    static Attempt try_once(const Conninfo& target, const std::string& label, Deadline deadline);
    void send(const std::string& sql, Deadline deadline);
    PgOutcome receive(Deadline deadline);
    [[noreturn]] void throw_broken();

    Handle connection_;  // empty once it cannot be used any more
    int server_version_;
    std::string label_;
    Conninfo target_;  // as it was opened, at one address
};

}  // namespace hooks
