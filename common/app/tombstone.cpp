#include "common/app/tombstone.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>
#include <vector>

#include "common/app/node_script.h"
#include "common/io/log.h"

namespace hooks {
namespace {

// PGDATA, MAJOR, then the lines. All in one script: what a broken connection holds up, and delivers
// when the node is a standby again, finds that out by itself. A server that was started in between
// has read its configuration already or does not start.
constexpr std::string_view bury_script = R"sh(
cd -- "$1" 2>/dev/null || { echo nothing; exit 0; }
if [ ! -f PG_VERSION ]; then echo nothing; exit 0; fi
here=$(pwd -P)
runs() {
    pid=$(head -n 1 postmaster.pid 2>/dev/null || true)
    pid=${pid#-}
    if [ -z "$pid" ] || [ ! -r "/proc/$pid/stat" ]; then return 1; fi
    if [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" = Z ]; then return 1; fi
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null || true)" = "$here" ]
}
if [ -e standby.signal ]; then echo standby; exit 0; fi
if runs; then echo running; exit 0; fi
if [ -e recovery.conf ]; then
    if [ "$2" -ge 12 ]; then echo written; else echo standby; fi
    exit 0
fi
umask 077
shift 2
printf '%s\n' "$@" >recovery.conf.pgpool-hooks
sync recovery.conf.pgpool-hooks
mv -- recovery.conf.pgpool-hooks recovery.conf
sync .
if runs; then echo running; else echo written; fi
)sh";

// PGDATA, MARK
constexpr std::string_view exhume_script = R"sh(
cd -- "$1"
if [ -f recovery.conf ]; then
    case $(head -n 1 recovery.conf) in
        "$2"*) rm -f -- recovery.conf ;;
        *) echo "there is a recovery.conf of somebody else" >&2; exit 1 ;;
    esac
fi
rm -f -- recovery.conf.pgpool-hooks
sync .
)sh";

}  // namespace

Grave bury(Target& target, Tombstone tombstone, Env& env, Deadline deadline) {
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    tombstone.major = target.report.major;
    tombstone.time = utc_timestamp();
    tombstone.by = fmt::format("{} on {}, run {}", env.hook, host, env.log.run_id());
    tombstone.node = target.backend.label();
    tombstone.node_id = target.backend.id;
    std::vector<std::string> arguments = {target.directory(), std::to_string(target.report.major)};
    std::istringstream lines(tombstone_text(tombstone));
    for (std::string line; std::getline(lines, line);) {
        arguments.push_back(line);
    }
    const Outcome outcome = target.node->run_script(bury_script, arguments, deadline);
    must(outcome, target, "writing the tombstone into " + target.directory());
    const std::string found = outcome.out.substr(0, outcome.out.find('\n'));
    env.log.info("tombstone", {{"node", target.node->label()}, {"found", found}});
    return found == "written"   ? Grave::written
           : found == "standby" ? Grave::standby
           : found == "running" ? Grave::running
                                : Grave::nothing;
}

void exhume(Target& target, Deadline deadline) {
    must(target.node->run_script(exhume_script, {target.directory(), std::string(tombstone_mark)},
                                 deadline),
         target, "removing the tombstone from " + target.directory());
}

}  // namespace hooks
