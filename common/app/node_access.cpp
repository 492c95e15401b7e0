// Reaching a node, and looking at its files.
#include <fmt/format.h>

#include <algorithm>

#include "common/app/node_steps.h"
#include "common/core/bare_files.h"
#include "common/core/bytes.h"
#include "common/core/wal_scan.h"
#include "common/io/local_node.h"
#include "common/io/poll.h"
#include "common/io/ssh_node.h"
#include "common/io/tcp_connect.h"

namespace hooks {
namespace {

// PGDATA. The part of pg_basebackup that receives WAL outlives the rest of it, for ever and with
// the slot in its hands, when the connection of the hook that started it broke.
constexpr std::string_view end_leftovers_script = R"sh(
real=$(readlink -f -- "$1" || printf %s "$1")
leftovers() {
    for process in /proc/[0-9]*; do
        if [ "$(cat "$process/comm" 2>/dev/null || true)" = pg_basebackup ] &&
            tr '\0' '\n' <"$process/cmdline" 2>/dev/null |
            grep -qxF -e "$1.pgpool-hooks/incoming" -e "$real.pgpool-hooks/incoming" \
                -e "$real/pgsql_tmp.pgpool-hooks/incoming"; then
            echo "${process#/proc/}"
        fi
    done
}
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(leftovers "$1")
    if [ -z "$pids" ]; then exit 0; fi
    if [ "$attempt" -lt 6 ]; then signal=TERM; else signal=KILL; fi
    for pid in $pids; do kill -s "$signal" "$pid" 2>/dev/null && echo "$signal sent to pid $pid" || true; done
    sleep 0.2
done
exit 1
)sh";

bool is_local(const Backend& backend, const Config& config, Deadline deadline) {
    if (backend.host.starts_with('/')) {
        return true;
    }
    if (!config.local_nodes || !config.node(backend.id).ssh_host.empty()) {
        return false;
    }
    try {
        return is_own_address(backend.host, deadline.within(config.connect_timeout));
    } catch (const Error&) {
        return false;  // a name that does not resolve here is not this machine
    }
}

SshOptions ssh_options(const Backend& backend, const Config& config) {
    const NodeOptions& options = config.node(backend.id);
    SshOptions ssh;
    ssh.host = options.ssh_host.empty() ? backend.host : options.ssh_host;
    ssh.port = options.ssh_port;
    ssh.user = options.ssh_user;
    ssh.identity_file = options.ssh_identity_file;
    ssh.known_hosts_file = options.ssh_known_hosts_file;
    return ssh;
}

std::string run_report(Target& target, int expected_major, Deadline deadline) {
    const Outcome outcome = target.node->run_script(
        node_report_script,
        {target.directory(), target.options.postgres_bin_dir, std::to_string(expected_major)},
        deadline);
    if (!outcome.ok()) {
        throw Error(ErrorKind::command, fmt::format("{}: looking at {}: {}", target.node->label(),
                                                    target.directory(), outcome.describe()));
    }
    return outcome.out;
}

// The pages from there on, at most `count`, and not beyond the end of that segment.
std::string wal_bytes(const Target& target, Lsn from, std::uint64_t count, Deadline deadline) {
    const ControlData& control = *target.report.control;
    const std::uint64_t first = from.value % control.wal_segment_size / wal_page_size;
    const std::uint64_t left = control.wal_segment_size / wal_page_size - first;
    const Outcome outcome = target.node->run_script(
        wal_bytes_script,
        {target.directory(),
         wal_segment_name(target.report.timeline(), from, control.wal_segment_size),
         std::to_string(first), std::to_string(std::min(count, left))},
        deadline);
    const auto bytes = decode_base64(outcome.out);
    if (!outcome.ok() || !bytes) {
        throw Error(
            ErrorKind::command,
            fmt::format("{}: reading its WAL from {} on: {}", target.node->label(), from,
                        outcome.ok() ? "it did not arrive as it was sent" : outcome.describe()));
    }
    return *bytes;
}

// Without pg_waldump. What was written since the last checkpoint comes here to be read; ever more
// at a time, so that a little takes no time and much takes few round trips.
std::string scan_wal(const Target& target, Deadline deadline) {
    const ControlData& control = *target.report.control;
    WalScan scan({target.report.major, control.system_identifier, target.report.timeline(),
                  control.wal_segment_size, wal_scan_start(target.report)});
    std::uint64_t count = 32;
    std::string bytes;
    Lsn first;
    while (const auto page = scan.wanted()) {
        if (*page < first || page->value - first.value >= bytes.size()) {
            first = *page;
            bytes = wal_bytes(target, first, count, deadline);
            count = std::min<std::uint64_t>(2 * count, 1024);
        }
        scan.feed(std::string_view(bytes).substr(
            std::min<std::uint64_t>(page->value - first.value, bytes.size()), wal_page_size));
    }
    return scan.in_words_of_waldump();
}

}  // namespace

std::unique_ptr<Node> make_node(const Backend& backend, const Config& config, Deadline deadline) {
    const std::string label = backend.label();
    if (is_local(backend, config, deadline)) {
        return std::make_unique<LocalNode>(label);
    }
    return std::make_unique<SshNode>(label, ssh_options(backend, config), config.connect_timeout);
}

std::unique_ptr<Node> make_node_through(const Backend& via, const Backend& backend,
                                        const Config& config,
                                        std::chrono::milliseconds connect_timeout) {
    SshOptions ssh = ssh_options(backend, config);
    ssh.via = std::make_shared<const SshOptions>(ssh_options(via, config));
    return std::make_unique<SshNode>(backend.label(), std::move(ssh), connect_timeout);
}

void look_at_files(Target& target, int expected_major, Deadline deadline) {
    // What a lost connection left behind ends by itself when it next reports its progress.
    const Deadline patience = deadline.within(std::chrono::seconds(10));
    for (;;) {
        target.report = parse_node_report(run_report(target, expected_major, deadline));
        if (target.report.busy.empty()) {
            break;
        }
        if (patience.expired()) {
            throw Error(ErrorKind::refused,
                        fmt::format("{}: {} works on {}", target.node->label(), target.report.busy,
                                    target.directory()),
                        "Wait until it has ended, or end it, and run this again.");
        }
        pause_for(std::chrono::milliseconds(200), patience);
    }
    const NodeReport& report = target.report;
    if (!report.owner.empty() && report.owner != report.user) {
        throw Error(
            ErrorKind::refused,
            fmt::format("{}: {} belongs to {}, and this runs there as {}", target.node->label(),
                        target.directory(), report.owner, report.user),
            fmt::format("Set ssh_user = '{}' in hooks.conf.", report.owner));
    }
}

void end_leftovers(Target& target, Env& env, Deadline deadline) {
    const Outcome outcome =
        target.node->run_script(end_leftovers_script, {target.directory()}, deadline);
    if (!outcome.out.empty()) {
        env.log.warn("ended what an earlier run left behind",
                     {{"node", target.node->label()}, {"what", outcome.out}});
    }
}

void look_at_wal(Target& target, Deadline deadline) {
    target.waldump.clear();
    if (!target.report.control || target.report.running) {
        return;
    }
    const ControlData& control = *target.report.control;
    if (!target.report.pg_waldump) {
        target.waldump = scan_wal(target, deadline);
        return;
    }
    target.waldump = target.node
                         ->run_script(wal_end_script,
                                      {target.directory(), target.report.bin_dir,
                                       std::to_string(target.report.timeline()),
                                       to_string(wal_scan_start(target.report)),
                                       std::to_string(control.wal_segment_size)},
                                      deadline)
                         .out;
}

}  // namespace hooks
