#include "common/app/bring_up.h"

#include <fmt/format.h>

#include "common/app/node_lock.h"
#include "common/app/slot_ledger.h"
#include "common/io/poll.h"
#include "common/io/signals.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Streaming that does not come within a minute of a running server does not come by waiting.
constexpr seconds proof_patience{60};

Error with_server_log(const Error& error, Target& target) {
    // Where nobody is let in, the message says all there is.
    if (error.kind() != ErrorKind::timeout && error.kind() != ErrorKind::command) {
        return error;
    }
    const std::string log = end_of_server_log(target, Deadline::after(seconds(5)));
    if (log.empty()) {
        return error;
    }
    return Error(error.kind(),
                 fmt::format("{}; the end of the server's log:\n{}", error.message(), log),
                 error.hint());
}

std::unique_ptr<PgConnection> wait_for_server(Target& target, Env& env, Deadline deadline) {
    for (milliseconds wait{20};; wait = std::min<milliseconds>(wait * 2, seconds(1))) {
        PgAnswer answer = PgConnection::open(inspection_conninfo(target.backend, env.config),
                                             env.hook, deadline.within(env.config.connect_timeout));
        if (answer.kind == PgAnswer::Kind::serving) {
            return std::move(answer.connection);
        }
        if (answer.kind == PgAnswer::Kind::denied) {
            throw Error(ErrorKind::unreachable,
                        fmt::format("{}: {}", target.backend.label(), answer.detail),
                        !answer.hint.empty()
                            ? answer.hint
                            : "Check postgres_user, the passfile and pg_hba.conf of that node.");
        }
        if (answer.kind == PgAnswer::Kind::refused && wait > milliseconds(300) &&
            !server_is_running(target, deadline)) {
            throw Error(
                ErrorKind::command,
                fmt::format("{}: the server ended again after its start", target.backend.label()),
                "Correct what its log says, then run pcp_recovery_node for it.");
        }
        if (deadline.expired()) {
            throw Error(ErrorKind::timeout,
                        fmt::format("{} does not let anybody in: {}", target.backend.label(),
                                    answer.detail),
                        "Look in its log for what it waits for; when it serves, attach it with "
                        "pcp_attach_node.");
        }
        throw_if_cancelled();
        pause_for(wait, deadline);
    }
}

}  // namespace

void settle_standby(PgConnection& standby, const Backend& backend, Env& env, Deadline deadline) {
    try {
        clear_standby_of_slots({standby, backend}, env, deadline);
        // Whose they are is not known here; a standby of 16 and later may serve some itself.
        for (const std::string& slot : unused_logical_slots(standby, deadline)) {
            env.log.warn("a logical slot that nobody uses keeps back the WAL of this standby",
                         {{"node", standby.label()},
                          {"slot", slot},
                          {"next", fmt::format("unless it is needed, run there: SELECT "
                                               "pg_drop_replication_slot({})",
                                               quote_sql_literal(slot))}});
        }
    } catch (const Error& error) {
        env.log.warn("slots for other nodes stay on a standby and keep its WAL back",
                     {{"node", standby.label()}, {"why", error.what()}});
    }
    try {
        release_restore_command(standby, deadline);
    } catch (const Error& error) {
        env.log.warn("its restore_command is not put back",
                     {{"node", standby.label()}, {"why", error.what()}});
    }
}

std::string settle_synchronous(PgConnection& primary, PgConnection& standby, Env& env,
                               Deadline deadline) {
    const auto put_back = [&](PgConnection& server) {
        const auto original = restore_synchronous(server, deadline);
        if (original) {
            env.log.info("synchronous_standby_names put back",
                         {{"node", server.label()}, {"is", *original}});
        }
        return original;
    };
    const auto warn = [&](PgConnection& server, const Error& error) {
        env.log.warn("synchronous_standby_names stays relaxed; the next run looks at it again",
                     {{"node", server.label()}, {"why", error.what()}});
    };
    std::string remark;
    try {
        if (const auto original = put_back(primary)) {
            remark = fmt::format(
                "; enough standbys stream: synchronous_standby_names of {} is '{}' "
                "again",
                primary.label(), *original);
        }
    } catch (const Error& error) {
        warn(primary, error);
    }
    try {
        if (relaxation_is_noted(standby, deadline)) {
            lock_node(standby, promotion_lock, deadline);  // not while a run promotes it
            put_back(standby);
        }
    } catch (const Error& error) {
        warn(standby, error);
    }
    return remark;
}

void bring_up(Target& target, int major, Env& env, Deadline deadline) {
    look_at_files(target, major, deadline);
    if (!target.report.running) {
        start_server(target, env, deadline);
    }
}

Proof prove_standby(Target& target, PgConnection& primary, Env& env, Deadline deadline,
                    const std::function<void(PgConnection& standby)>& look) {
    try {
        const auto standby = wait_for_server(target, env, deadline);
        std::string apply_delay;
        if (standby->major_version() < 12) {
            const auto kept = present_recovery(target, deadline);
            apply_delay = kept ? kept->apply_delay() : "";
        }
        Proof proof =
            prove_streaming(primary, *standby, deadline.within(proof_patience), look, apply_delay);
        settle_standby(*standby, target.backend, env, deadline);
        proof.remark = settle_synchronous(primary, *standby, env, deadline);
        return proof;
    } catch (const Error& error) {
        throw with_server_log(error, target);
    }
}

}  // namespace hooks
