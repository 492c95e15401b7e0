#include "common/io/pg_connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>

#include "common/core/error.h"
#include "common/core/grants.h"
#include "common/io/pg_failure.h"
#include "common/io/poll.h"
#include "common/io/socket_options.h"
#include "common/io/tcp_connect.h"
#include "common/io/user.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;

// A server that is being killed hangs up on those who wait; a moment later it is known what it is.
constexpr int kHangUpRetries = 3;
constexpr milliseconds kHangUpPause{100};

constexpr std::string_view insufficient_privilege = "42501";

struct ResultCloser {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ResultCloser>;

void ignore_notice(void*, const PGresult*) noexcept {
}

std::string text_or_empty(const Conninfo& conninfo, std::string_view keyword) {
    const std::string* value = conninfo.find(keyword);
    return value == nullptr ? std::string() : *value;
}

bool is_socket_directory(const std::string& host) {
    return host.empty() || host[0] == '/' || host[0] == '@';
}

// Our commits must not wait for a standby that is gone, and nothing that was set for the role or
// the database may end a session of ours or change what a name means.
constexpr const char* kSessionOptions =
    "-c search_path=pg_catalog -c synchronous_commit=local -c statement_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c lock_timeout=0 -c client_min_messages=warning";

Conninfo complete(const Conninfo& target, const std::string& application_name) {
    Conninfo full = target;
    const auto set_default = [&full](std::string_view keyword, const std::string& value) {
        if (full.find(keyword) == nullptr) {
            full.set(keyword, value);
        }
    };
    full.set("application_name", application_name);
    full.set("client_encoding", "UTF8");
    const std::string options = text_or_empty(target, "options");
    full.set("options", options.empty() ? kSessionOptions : options + " " + kSessionOptions);
    set_default("keepalives_idle", std::to_string(kKeepaliveIdleSeconds));
    set_default("keepalives_interval", std::to_string(kKeepaliveIntervalSeconds));
    set_default("keepalives_count", std::to_string(kKeepaliveCount));
    set_default("tcp_user_timeout", std::to_string(kTcpUserTimeoutMs));
    // libpq 15 and later look for it in $HOME, which a daemon may have from somebody else.
    if (text_or_empty(target, "passfile").empty() && std::getenv("PGPASSFILE") == nullptr) {
        full.set("passfile", home_directory() + "/.pgpass");
    }
    return full;
}

// A message of libpq should never hold the password. "Should" is not enough for a log.
std::string without_password(std::string text, const Conninfo& target) {
    const std::string password = text_or_empty(target, "password");
    if (password.empty()) {
        return text;
    }
    for (std::size_t at = text.find(password); at != std::string::npos;
         at = text.find(password, at + 8)) {
        text.replace(at, password.size(), "********");
    }
    return text;
}

PgAnswer silent(std::string detail) {
    PgAnswer answer;
    answer.kind = PgAnswer::Kind::silent;
    answer.detail = std::move(detail);
    return answer;
}

std::unique_ptr<PgConnection> connection_of(PgAnswer answer, Deadline deadline) {
    if (answer.kind == PgAnswer::Kind::serving) {
        return std::move(answer.connection);
    }
    const bool late = answer.kind == PgAnswer::Kind::silent && deadline.expired();
    throw Error(late ? ErrorKind::timeout : ErrorKind::unreachable,
                "cannot connect to PostgreSQL: " + answer.detail, answer.hint);
}

std::string field(const PGresult* result, int code) {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? std::string() : one_line(text);
}

PgOutcome failed_statement(const PGresult* result) {
    PgOutcome outcome;
    outcome.sqlstate = field(result, PG_DIAG_SQLSTATE);
    outcome.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (outcome.message.empty()) {
        outcome.message = one_line(PQresultErrorMessage(result));
    }
    if (const std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) {
        outcome.message += "; " + detail;
    }
    if (const std::string hint = field(result, PG_DIAG_MESSAGE_HINT); !hint.empty()) {
        outcome.message += "; " + hint;
    }
    return outcome;
}

std::vector<PgRow> rows_of(const PGresult* result) {
    std::vector<PgRow> rows(static_cast<std::size_t>(PQntuples(result)));
    for (int row = 0; row < PQntuples(result); ++row) {
        for (int column = 0; column < PQnfields(result); ++column) {
            PgRow& values = rows[static_cast<std::size_t>(row)];
            if (PQgetisnull(result, row, column) != 0) {
                values.emplace_back();
            } else {
                values.emplace_back(std::in_place, PQgetvalue(result, row, column),
                                    static_cast<std::size_t>(PQgetlength(result, row, column)));
            }
        }
    }
    return rows;
}

}  // namespace

const char* to_string(PgAnswer::Kind kind) {
    switch (kind) {
        case PgAnswer::Kind::serving:
            return "serving";
        case PgAnswer::Kind::rejecting:
            return "rejecting connections";
        case PgAnswer::Kind::refused:
            return "refusing connections";
        case PgAnswer::Kind::denied:
            return "denying access";
        case PgAnswer::Kind::silent:
            return "silent";
    }
    return "?";
}

void PgConnection::Closer::operator()(pg_conn* connection) const {
    PQfinish(connection);
}

PgConnection::PgConnection(Handle connection, std::string label, Conninfo target)
    : connection_(std::move(connection)),
      server_version_(PQserverVersion(connection_.get())),
      label_(std::move(label)),
      target_(std::move(target)) {
}
PgConnection::~PgConnection() = default;

struct PgConnection::Attempt {
    PgAnswer answer;
    bool hung_up = false;
    bool timed_out = false;
};

// At one address.
PgConnection::Attempt PgConnection::try_once(const Conninfo& target, const std::string& label,
                                             Deadline deadline) {
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : target.items()) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    Handle connection(PQconnectStartParams(keywords.data(), values.data(), 0));
    if (!connection) {
        throw Error(ErrorKind::internal, "libpq is out of memory");
    }
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
    PQsetNoticeReceiver(connection.get(), ignore_notice, nullptr);

    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    if (PQstatus(connection.get()) == CONNECTION_BAD) {
        state = PGRES_POLLING_FAILED;
    }
    while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
        // Asked for each time: libpq opens another socket when it tries again without TLS.
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (wait_for_fd(PQsocket(connection.get()), events, deadline) == 0) {
            const bool reached = PQstatus(connection.get()) != CONNECTION_STARTED;
            return {silent(label + (reached ? " accepted the connection and then said nothing"
                                            : " did not answer in time")),
                    false, true};
        }
        state = PQconnectPoll(connection.get());
    }
    if (state == PGRES_POLLING_OK) {
        // A large statement to a server that does not read must not block us.
        PQsetnonblocking(connection.get(), 1);
        Attempt attempt;
        attempt.answer.kind = PgAnswer::Kind::serving;
        attempt.answer.detail =
            fmt::format("PostgreSQL {} at {}", PQserverVersion(connection.get()) / 10000, label);
        attempt.answer.connection.reset(new PgConnection(std::move(connection), label, target));
        try {
            attempt.answer.connection->lift_limits(deadline);
        } catch (const Error& error) {
            const bool late = error.kind() == ErrorKind::timeout;
            return {silent(error.message()), !late, late};
        }
        return attempt;
    }
    const PgFailure failure = classify_connection_failure(PQerrorMessage(connection.get()));
    Attempt attempt;
    attempt.answer.kind = failure.kind;
    attempt.answer.detail = without_password(failure.detail, target);
    attempt.answer.sqlstate = failure.sqlstate;
    attempt.answer.hint = connection_hint(failure, target);
    attempt.hung_up = failure.hung_up;
    return attempt;
}

// What kSessionOptions cannot say, since a server that does not know a name refuses the session.
void PgConnection::lift_limits(Deadline deadline) {
    if (server_version_ >= 170000) {
        query("SET transaction_timeout = 0", deadline);
    }
}

PgAnswer PgConnection::open(const Conninfo& target, const std::string& application_name,
                            Deadline deadline) {
    const std::string host = text_or_empty(target, "host");
    const std::string port = text_or_empty(target, "port");
    const std::string label = host_and_port(host, port.empty() ? "5432" : port);
    std::vector<Conninfo> attempts;
    try {
        Conninfo full = complete(target, application_name);
        if (is_socket_directory(host) || !text_or_empty(target, "hostaddr").empty()) {
            attempts.push_back(full);
        } else {
            // Each address is an attempt of ours: libpq would stay with a dead one for ever.
            for (const std::string& address : resolve_host(host, deadline)) {
                full.set("hostaddr", address);
                attempts.push_back(full);
            }
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::internal) {
            throw;
        }
        PgAnswer answer = silent(error.message());
        answer.hint = error.hint();
        return answer;
    }

    // Of two addresses that led nowhere, the one that did not answer tells: something may run
    // there. One that cannot be reached at all (a host without IPv6) says less than a refusal.
    PgAnswer best;
    bool late = false;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const Deadline share =
            deadline.within(deadline.remaining() / static_cast<int>(attempts.size() - i));
        Attempt attempt = try_once(attempts[i], label, share);
        for (int retry = 0; attempt.hung_up && retry < kHangUpRetries && !share.expired();
             ++retry) {
            pause_for(kHangUpPause, share);
            attempt = try_once(attempts[i], label, share);
        }
        PgAnswer& answer = attempt.answer;
        const bool answered =
            answer.kind != PgAnswer::Kind::silent && answer.kind != PgAnswer::Kind::refused;
        if (answered || i == 0 || attempt.timed_out ||
            (best.kind == PgAnswer::Kind::silent && !late)) {
            best = std::move(answer);
            late = attempt.timed_out;
        }
        if (answered) {
            break;
        }
    }
    return best;
}

std::unique_ptr<PgConnection> PgConnection::connect(const Conninfo& target,
                                                    const std::string& application_name,
                                                    Deadline deadline) {
    return connection_of(open(target, application_name, deadline), deadline);
}

std::unique_ptr<PgConnection> PgConnection::open_walsender(Deadline deadline) const {
    Conninfo target = target_;
    target.set("replication", "database");
    return connection_of(try_once(target, label_, deadline).answer, deadline);
}

void PgConnection::throw_broken() {
    const std::string why = connection_ ? one_line(PQerrorMessage(connection_.get())) : "";
    connection_.reset();
    throw Error(ErrorKind::unreachable, fmt::format("the connection to {} is lost{}{}", label_,
                                                    why.empty() ? "" : ": ", why));
}

void PgConnection::send(const std::string& sql, Deadline deadline) {
    if (PQsendQuery(connection_.get(), sql.c_str()) != 1) {
        throw_broken();
    }
    for (;;) {
        const int left = PQflush(connection_.get());
        if (left < 0) {
            throw_broken();
        }
        if (left == 0) {
            return;
        }
        const short ready = wait_for_fd(PQsocket(connection_.get()), POLLIN | POLLOUT, deadline);
        if (ready == 0) {
            throw Error(ErrorKind::timeout, label_ + " did not take a statement in time");
        }
        if ((ready & POLLIN) != 0 && PQconsumeInput(connection_.get()) != 1) {
            throw_broken();
        }
    }
}

PgOutcome PgConnection::receive(Deadline deadline) {
    PgOutcome outcome;
    outcome.ok = true;
    for (;;) {
        while (PQisBusy(connection_.get()) != 0) {
            if (wait_for_fd(PQsocket(connection_.get()), POLLIN, deadline) == 0) {
                throw Error(ErrorKind::timeout,
                            fmt::format("{} did not answer to a statement in time: whether it was "
                                        "carried out is not known",
                                        label_));
            }
            // When the connection breaks, what came before it may still be an answer.
            if (PQconsumeInput(connection_.get()) != 1 && PQisBusy(connection_.get()) != 0) {
                throw_broken();
            }
        }
        const ResultHandle result(PQgetResult(connection_.get()));
        if (!result) {
            break;
        }
        switch (PQresultStatus(result.get())) {
            case PGRES_COMMAND_OK:
            case PGRES_EMPTY_QUERY:
            case PGRES_TUPLES_OK:
                if (outcome.ok) {
                    outcome.rows = rows_of(result.get());
                }
                break;
            case PGRES_FATAL_ERROR:
            case PGRES_BAD_RESPONSE:
                if (outcome.ok) {
                    outcome = failed_statement(result.get());
                }
                break;
            default:
                throw Error(ErrorKind::internal, "COPY is not for PgConnection");
        }
    }
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
        throw_broken();
    }
    return outcome;
}

PgOutcome PgConnection::execute(std::string_view sql, Deadline deadline) {
    if (!connection_) {
        throw_broken();
    }
    // No PQcancel at the deadline: it connects anew, and blocks. Whatever leaves the middle of a
    // statement leaves a connection that nobody may use again.
    try {
        send(std::string(sql), deadline);
        PgOutcome outcome = receive(deadline);
        if (!outcome.ok && outcome.sqlstate == insufficient_privilege) {
            const std::string grant = missing_grant(sql, outcome.message, PQuser(connection_.get()),
                                                    server_version_ / 10000);
            outcome.message += grant.empty() ? "" : "; needed: " + grant;
        }
        return outcome;
    } catch (...) {
        connection_.reset();
        throw;
    }
}

std::vector<PgRow> PgConnection::query(std::string_view sql, Deadline deadline) {
    PgOutcome outcome = execute(sql, deadline);
    if (!outcome.ok) {
        const bool not_permitted = outcome.sqlstate == insufficient_privilege;
        throw Error(ErrorKind::sql,
                    fmt::format("{}: {} (SQLSTATE {})", label_, outcome.message, outcome.sqlstate),
                    not_permitted
                        ? fmt::format("Run examples/roles.sql for \"{}\" (postgres_user) on the "
                                      "primary, in postgres_database, or make it a superuser.",
                                      PQuser(connection_.get()))
                        : "");
    }
    return std::move(outcome.rows);
}

std::string PgConnection::value(std::string_view sql, Deadline deadline) {
    const std::vector<PgRow> rows = query(sql, deadline);
    if (rows.size() != 1 || rows[0].size() != 1 || !rows[0][0]) {
        throw Error(ErrorKind::sql, label_ + ": a query that should give one value gave " +
                                        (rows.size() == 1 && rows[0].size() == 1
                                             ? "NULL"
                                             : fmt::format("{} rows", rows.size())));
    }
    return *rows[0][0];
}
}  // namespace hooks
