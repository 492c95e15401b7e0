#include "common/app/node_unit.h"

#include <fmt/format.h>

#include "common/io/poll.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// PGDATA, then a command
constexpr std::string_view control_script = R"sh(
export PGDATA="$1" LC_ALL=C
shift
exec "$@"
)sh";

// PGDATA, UNIT, PG_CTL, then a command. SIGTERM alone would wait for the clients; together with
// SIGINT it does not. Not before systemd has sent its own: by then it has noted that the server is
// to be down, and restarts nothing, and what ExecStop= runs has ended.
constexpr std::string_view stop_script = R"sh(
export PGDATA="$1" LC_ALL=C
unit=$2
pg_ctl=$3
shift 3
"$@" &
asked=$!
while kill -0 "$asked" 2>/dev/null; do
    if [ "$(systemctl show -p SubState -- "$unit" 2>/dev/null)" = SubState=stop-sigterm ]; then
        "$pg_ctl" -D "$PGDATA" -m fast -W -s stop >/dev/null 2>&1 || true
        break
    fi
    sleep 0.1
done
status=0
wait "$asked" || status=$?
exit "$status"
)sh";

// UNIT, then a command. Nothing may keep our pipes open.
constexpr std::string_view begin_stop_script = R"sh(
unit=$1
shift
"$@" >/dev/null 2>&1 &
asked=$!
while kill -0 "$asked" 2>/dev/null; do
    case $(systemctl show -p ActiveState -- "$unit" 2>/dev/null) in
        ActiveState=deactivating) exit 0 ;;
    esac
    sleep 0.05
done
status=0
wait "$asked" || status=$?
exit "$status"
)sh";

std::vector<std::string> with_words(std::vector<std::string> arguments,
                                    const std::vector<std::string>& words) {
    arguments.insert(arguments.end(), words.begin(), words.end());
    return arguments;
}

Error not_permitted(const Target& target, const std::string& said) {
    return Error(ErrorKind::refused,
                 fmt::format("{}: {} runs the server in {}, and {} may not start and stop it: {}",
                             target.node->label(), target.report.systemd_unit, target.directory(),
                             target.report.user, said),
                 how_to_permit(layout_of(target), target.report.user));
}

// A start or stop of which systemd has not seen the end goes on without us.
constexpr seconds unit_patience{30};
// For a systemd that executes itself anew, or a bus that is restarted.
constexpr seconds answer_patience{10};

UnitState unit_state(Target& target, Deadline deadline) {
    return parse_unit_state(run_control(target,
                                        with_words(with_words({"systemctl"}, unit_state_words),
                                                   {target.report.systemd_unit}),
                                        deadline.within(answer_patience))
                                .out);
}

// The first that systemd does not deny us.
Outcome ask_in_turn(Target& target, const std::vector<ControlCommand>& commands, Env& env,
                    Deadline deadline) {
    std::string said;
    for (const ControlCommand& command : commands) {
        Outcome outcome;
        try {
            outcome = run_control(target, command.words, deadline.within(unit_patience));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout || deadline.expired()) {
                throw;
            }
            outcome.exit_code = 0;
        }
        if (!is_denial(outcome.exit_code, outcome.err)) {
            return outcome;
        }
        said += (said.empty() ? "" : "; ") + outcome.describe();
        env.log.debug("not allowed to ask systemd",
                      {{"node", target.node->label()}, {"said", outcome.describe()}});
    }
    throw not_permitted(target, said);
}

bool is_for_systemd(const Target& target) {
    return !target.report.systemd_unit.empty() && target.options.start_command.empty();
}

}  // namespace

ServerLayout layout_of(const Target& target) {
    return {target.directory(),           target.report.bin_dir,
            target.report.systemd_unit,   target.report.debian_cluster,
            target.options.start_command, target.options.stop_command};
}

Outcome run_control(Target& target, const std::vector<std::string>& words, Deadline deadline) {
    return target.node->run_script(control_script, with_words({target.directory()}, words),
                                   deadline);
}

void know_unit(Target& target, Deadline deadline) {
    const Deadline patience = deadline.within(answer_patience);
    while (!target.report.unit_unknown.empty() && target.options.start_command.empty()) {
        if (patience.expired()) {
            throw Error(
                ErrorKind::refused,
                fmt::format("{}: systemd runs there and does not tell which unit runs the server "
                            "in {}, and beside its unit it must not be started: {}",
                            target.node->label(), target.directory(), target.report.unit_unknown),
                fmt::format("When \"systemctl is-system-running\" answers there as {}, run this "
                            "again (pcp_recovery_node); or set start_command.",
                            target.report.user));
        }
        pause_for(milliseconds(500), patience);
        look_at_files(target, target.report.major, deadline);
    }
}

void check_unit_may_be_started(Target& target, Env& env, Deadline deadline) {
    know_unit(target, deadline);
    if (!is_for_systemd(target)) {
        return;
    }
    const std::vector<ControlCommand> probes =
        permission_probes(layout_of(target), unit_state(target, deadline), target.report.running);
    if (!probes.empty()) {
        ask_in_turn(target, probes, env, deadline);
    }
}

bool put_unit_to_rest(Target& target, Env& env, Deadline deadline) {
    if (!is_for_systemd(target)) {
        return false;
    }
    const UnitState state = unit_state(target, deadline);
    if (state.active.empty() || state.at_rest()) {
        return false;
    }
    const Outcome outcome =
        ask_in_turn(target, unit_stop_commands(layout_of(target)), env, deadline);
    env.log.info("unit stopped, which no server runs in",
                 {{"node", target.node->label()},
                  {"unit", target.report.systemd_unit},
                  {"was", state.active},
                  {"said", outcome.ok() ? "" : outcome.describe()}});
    return true;
}

Outcome start_by_unit(Target& target, Env& env, Deadline deadline) {
    const UnitState state = unit_state(target, deadline);
    if (!target.report.running && state.active == "active" && !state.main_process) {
        put_unit_to_rest(target, env, deadline);
    }
    return ask_in_turn(target, start_commands(layout_of(target)), env, deadline);
}

Outcome stop_by_unit(Target& target, const ControlCommand& command, Deadline deadline) {
    return target.node->run_script(stop_script,
                                   with_words({target.directory(), target.report.systemd_unit,
                                               target.report.bin_dir + "/pg_ctl"},
                                              command.words),
                                   deadline);
}

void begin_stop_of_unit(Target& target, Deadline deadline) {
    if (!target.options.stop_command.empty()) {
        return;
    }
    try {
        for (const ControlCommand& command : unit_stop_commands(layout_of(target))) {
            if (target.node
                    ->run_script(begin_stop_script,
                                 with_words({target.report.systemd_unit}, command.words),
                                 deadline.within(answer_patience))
                    .ok()) {
                return;
            }
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::timeout) {
            throw;
        }
    }
}

}  // namespace hooks
