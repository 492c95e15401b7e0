// Making a stopped node's files those of the source, up to a point from which it can follow.
#include <fmt/format.h>

#include "common/app/node_rewind_script.h"
#include "common/app/node_script.h"
#include "common/io/pg_connection.h"
#include "common/io/signals.h"

namespace hooks {
namespace {

using std::chrono::seconds;

std::string marker_of(const Target& target) {
    return target.report.work_directory + "/rewind-unfinished";
}

std::vector<std::string> with_removals(std::vector<std::string> arguments, int major) {
    for (const std::string& name : recovery_files(major, {}, std::nullopt).removals) {
        arguments.push_back(name);
    }
    return arguments;
}

void prepare(Target& target, const RewindSource& source, Deadline deadline) {
    std::vector<std::string> arguments = {target.directory(), target.report.work_directory,
                                          target.report.config_file,
                                          std::to_string(source.new_wal_bytes)};
    arguments.insert(arguments.end(), source.tablespaces.begin(), source.tablespaces.end());
    const Outcome outcome = target.node->run_script(prepare_rewind_script, arguments, deadline);
    if (outcome.exit_code == refused_early) {
        const std::size_t end = outcome.err.find_last_not_of('\n');
        throw Error(ErrorKind::command,
                    fmt::format("{}: {}; nothing was changed", target.node->label(),
                                outcome.err.substr(0, end + 1)));
    }
    must(outcome, target, "preparing the rewind");
}

// Before the rewind, because after it nobody may be there to write them.
void stage_settings(Target& target, const RecoverySettings& wanted, Deadline deadline) {
    RecoverySettings settings = wanted;
    settings.trigger_file_is_set = trigger_file_is_set(target, target.report.major, deadline);
    const auto auto_conf =
        target.node->read_file(target.directory() + "/postgresql.auto.conf", deadline);
    for (const RecoveryFiles::Write& write :
         recovery_files(target.report.major, settings, auto_conf).writes) {
        target.node->replace_file(target.report.work_directory + "/settings/" + write.path,
                                  write.content, deadline);
    }
}

// PGDATA. The part of a rewind that goes on by itself is found by its marker, in either of the
// places where the report script has it: no report can be made while it is at work.
constexpr std::string_view await_script = R"sh(
pgdata=$1
while [ "${pgdata%/}" != "$pgdata" ] && [ "$pgdata" != / ]; do pgdata=${pgdata%/}; done
beside=$pgdata.pgpool-hooks/rewind-unfinished
at_home=${HOME:-}/.pgpool-hooks/$(printf %s "$pgdata" |
    sed -e 's/_/__/g' -e 's,/,_,g').pgpool-hooks/rewind-unfinished
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    found=
    for process in /proc/[0-9]*; do
        { read -r name <"$process/comm"; } 2>/dev/null || continue
        if [ "$name" = sh ] && tr '\0' '\n' <"$process/cmdline" 2>/dev/null |
            grep -qxF -e "$beside" -e "$at_home"; then
            found=${process#/proc/}
        fi
    done
    if [ -z "$found" ]; then exit 0; fi
    sleep 0.5
done
echo "$found"
)sh";

}  // namespace

RewindSource read_rewind_source(PgConnection& primary, Conninfo conninfo, TimelineId timeline,
                                Env& env, Deadline deadline) {
    RewindSource source;
    source.conninfo = std::move(conninfo);
    try {
        for (const PgRow& row : primary.query(
                 "SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace", deadline)) {
            if (row.at(0) && row.at(1) && row[1]->starts_with('/')) {
                source.tablespaces.insert(source.tablespaces.end(), {*row[0], *row[1]});
            }
        }
        const auto rows = primary.query(
            fmt::format(
                "SELECT coalesce(sum(size), 0) FROM pg_ls_waldir() WHERE name LIKE '{:08X}%'",
                timeline),
            deadline);
        source.new_wal_bytes = std::stoull(rows.at(0).at(0).value_or("0"));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::timeout || error.kind() == ErrorKind::unreachable) {
            throw;
        }
        // A role that may not ask: then pg_rewind finds out.
        env.log.debug("the source does not tell what a rewind needs", {{"why", error.what()}});
    }
    return source;
}

RewindEnd rewind(Target& target, const RewindSource& source, const RecoverySettings& settings,
                 Env& env, Deadline deadline) {
    prepare(target, source, deadline);
    stage_settings(target, settings, deadline);
    target.node->replace_file(target.report.work_directory + "/rewind.sh", detached_rewind_script(),
                              deadline);
    const auto stall = std::chrono::duration_cast<seconds>(env.config.stall_timeout);
    Progress progress(env, target, "pg_rewind");
    const Outcome outcome = target.node->run_script(
        run_rewind_script,
        with_removals({target.options.passfile, marker_of(target), target.directory(),
                       target.report.work_directory, target.report.bin_dir, source.conninfo.str(),
                       std::to_string(std::max<long>(1, stall.count())), target.report.config_file},
                      target.report.major),
        deadline, [&](bool, std::string_view line) { progress(line); });
    if (outcome.ok()) {
        return RewindEnd::done;
    }
    const std::string what = fmt::format("{}: pg_rewind of {}: {}", target.node->label(),
                                         target.directory(), outcome.describe());
    switch (outcome.exit_code) {
        case rewind_changed_nothing:
            throw Error(ErrorKind::command, what + "; nothing was changed");
        case rewind_broke_off:
            throw Error(ErrorKind::command,
                        what + "; its files are of two clusters now and must be replaced");
        case rewind_was_ended:
            env.log.warn("pg_rewind was ended before it changed anything",
                         {{"node", target.node->label()}, {"why", outcome.describe()}});
            return RewindEnd::ended_from_outside;
        default:
            // The script itself was; the next look tells how far it came.
            env.log.warn("the rewind was ended", {{"node", target.node->label()}, {"why", what}});
            return RewindEnd::ended_from_outside;
    }
}

void wait_for_rewind(Target& target, Env& env, Deadline deadline) {
    for (bool told = false;; told = true) {
        const Outcome outcome =
            target.node->run_script(await_script, {target.directory()}, deadline);
        must(outcome, target, "looking for a rewind that goes on");
        if (outcome.out.empty()) {
            return;
        }
        if (!told) {
            env.log.info("a rewind that an earlier run began goes on; waiting for it",
                         {{"node", target.node->label()}, {"pid", outcome.out}});
        }
        throw_if_cancelled();
    }
}

void settle_rewind(Target& target, int major, Env& env, Deadline deadline) {
    const RewindState state = target.report.rewind_state;
    const char* const word = state == RewindState::untouched ? "untouched"
                             : state == RewindState::rewound ? "rewound"
                                                             : "copying";
    if (target.report.running) {
        if (state == RewindState::rewound) {  // somebody was quicker
            must(target.node->run_script("rm -f -- \"$1\"", {marker_of(target)}, deadline), target,
                 "removing the marker of the rewind");
        }
        return;
    }
    must(target.node->run_script(settle_rewind_script(),
                                 with_removals({marker_of(target), target.directory(),
                                                target.report.work_directory, word},
                                               major),
                                 deadline),
         target, "settling a rewind that did not end");
    env.log.warn(
        "an earlier rewind did not end",
        {{"node", target.node->label()},
         {"found", state == RewindState::untouched
                       ? "it had changed nothing; its directory is in place again"
                   : state == RewindState::rewound
                       ? "only its settings were missing; they are in place"
                       : "its files are of two clusters; only a base backup can replace them"}});
}

}  // namespace hooks
