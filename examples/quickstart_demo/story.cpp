#include "quickstart_demo/story.h"

#include <fmt/format.h>

#include <cstdio>
#include <future>
#include <stdexcept>

#include "common/core/error.h"
#include "tests/support/process_table.h"

namespace hooks::quickstart {
namespace {

using harness::Cluster;
using harness::ClusterOptions;
using harness::HarnessError;
using harness::NetworkMode;
using std::chrono::seconds;

constexpr seconds kPatience{60};
constexpr std::size_t kSomeRows = 30;

ClusterOptions cluster_options(const Story::Options& options) {
    ClusterOptions result;
    result.network = NetworkMode::loopback;
    result.base_directory = options.base;
    result.keep = true;  // supervise() cleans up, as it has to after a crash, too
    result.announce = false;
    // Acknowledged means: one standby has it, too. By name, so that a base backup, which also
    // receives WAL, does not count as a standby.
    result.postgres_settings["synchronous_standby_names"] = "ANY 1 (node0, node1, node2)";
    result.hooks_conf = "syslog = 'off'\n";  // a demo has no business in the log of the machine
    return result;
}

// What no waiting can heal: Cluster::wait_until() takes a HarnessError for "not yet".
struct Failed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string first_word(const std::string& text) {
    return text.substr(0, text.find(' '));
}

}  // namespace

Story::Story(Options options)
    : options_(std::move(options)), cluster_(cluster_options(options_)), writer_(cluster_) {
}

Ending Story::tell() {
    Ending on_failure = Ending::not_begun;
    try {
        bring_up();
        on_failure = Ending::bad;
        primary_dies();
        disk_is_lost();
        take_stock();
        if (options_.keep) {
            say_how_to_use();
        }
        return Ending::good;
    } catch (const std::exception& error) {
        // The details first: what a person reads last is what happened.
        const std::string text = error.what();
        const auto end = text.find('\n');
        if (end != std::string::npos) {
            std::fputs(text.substr(end).c_str(), stderr);
        }
        std::fprintf(stderr, "\nquickstart: FAILED: %s\n", text.substr(0, end).c_str());
    }
    try {
        writer_.stop();
        if (on_failure == Ending::bad && options_.keep) {
            say_how_to_use();
        }
    } catch (const std::exception&) {
        // Said enough.
    }
    return on_failure;
}

void Story::bring_up() {
    narrator_.chapter("Three PostgreSQL nodes, each with an sshd, and Pgpool-II");
    narrator_.say("starting them on this machine, in " + cluster_.base_directory());
    cluster_.start();
    history_.emplace(cluster_.state_dir() + "/history", narrator_);
    const std::string pgpool =
        cluster_.pgpool_sql("SHOW POOL_VERSION").at(0).at(0).value_or("(version unknown)");
    narrator_.say(
        fmt::format("PostgreSQL {} and Pgpool-II {} are up; replication is synchronous: "
                    "a commit is acknowledged when a standby has it, too",
                    first_word(cluster_.sql_value(0, "SHOW server_version")), first_word(pgpool)));
    writer_.start();
    narrator_.say(
        fmt::format("a client commits a numbered row every 10 ms through pgpool (port {})",
                    cluster_.options().pgpool_port));
    writer_.wait_for_commits(kSomeRows);
    narrator_.block("Who streams from whom", cluster_.topology());
}

void Story::primary_dies() {
    narrator_.chapter("1. The primary dies");
    std::map<int, std::string> started;
    for (int node = 1; node < cluster_.size(); ++node) {
        started[node] = cluster_.start_time(node);
    }
    const auto killed = Clock::now();
    cluster_.kill_postgres_at_once(0);
    narrator_.say("node 0 (primary) killed with SIGKILL");
    wait_for_client(killed, "primary killed");

    cluster_.wait_until(
        [this] {
            const std::optional<int> primary = cluster_.primary();
            primary_ = primary.value_or(-1);
            return primary.has_value();
        },
        kPatience, "exactly one node takes writes");
    const int other = 3 - primary_;
    if (primary_ == 0) {
        throw HarnessError("the node that was killed is the primary again\n" + cluster_.dump());
    }
    const auto streaming = wait_for_standbys({other, 0}, killed);
    wait_for_hooks();
    if (cluster_.start_time(other) != started[other]) {
        throw HarnessError(fmt::format("the server of node {} was restarted\n", other) +
                           cluster_.dump());
    }
    narrator_.say(fmt::format("the server of node {} was not restarted: it runs since {}", other,
                              started[other]));
    record(fmt::format("node {} streams from node {}, not restarted", other, primary_),
           seconds_text(streaming.at(other)));
    record("node 0, the old primary, streams by itself", seconds_text(streaming.at(0)));
    writer_.wait_for_commits(kSomeRows);
}

void Story::disk_is_lost() {
    narrator_.chapter("2. A standby loses its disk");
    const int node = 3 - primary_;
    const auto id = static_cast<std::size_t>(node);
    const auto lost = Clock::now();
    cluster_.kill_postgres_at_once(node);
    narrator_.say(fmt::format("node {} killed with SIGKILL", node));
    cluster_.wipe(node);
    narrator_.say(fmt::format("its data directory {} removed", cluster_.data_directory(node)));
    cluster_.wait_until([&] { return cluster_.pool_status().at(id).status == "down"; }, kPatience,
                        fmt::format("pgpool notices that node {} is down", node));
    narrator_.say(fmt::format("pgpool shows node {} as down", node));
    wait_for_client(lost, "standby lost");
    wait_for_hooks();

    const auto asked = Clock::now();
    narrator_.say(fmt::format("$ pcp_recovery_node -h 127.0.0.1 -p {} -U pgpool -w -n {}",
                              cluster_.options().pcp_port, node));
    std::future<Outcome> recovery = std::async(std::launch::async, [&] {
        return cluster_.pcp("pcp_recovery_node", {"-n", std::to_string(node)});
    });
    // The node streams before pgpool has done what it does after a recovery.
    const auto failed = [&] {
        if (recovery.valid() && recovery.wait_for(seconds(0)) == std::future_status::ready) {
            const Outcome outcome = recovery.get();
            // It exits 0 on some failures, too.
            if (!outcome.ok() || outcome.out.find("Successful") == std::string::npos) {
                throw Failed("pcp_recovery_node: " + outcome.describe() + "\n" + cluster_.dump());
            }
            narrator_.say("pcp_recovery_node has ended");
        }
    };
    const auto streaming = wait_for_standbys({node}, asked, failed);
    cluster_.wait_until(
        [&] {
            failed();
            return !recovery.valid();
        },
        kPatience, "pcp_recovery_node has ended");
    wait_for_hooks();
    record(fmt::format("node {}, wiped, streams after pcp_recovery_node", node),
           seconds_text(streaming.at(node)));
    writer_.wait_for_commits(kSomeRows);
    record("longest wait of the client: standby lost and rebuilt",
           seconds_text(writer_.longest_outage(lost).length));
}

void Story::take_stock() {
    narrator_.chapter("3. What is left");
    writer_.stop();
    const std::size_t acknowledged = writer_.acknowledged();
    const std::size_t lost = writer_.missing_rows().size();
    const std::string count = "SELECT count(*) FROM public.writer_rows";
    const std::string rows = cluster_.sql_value(primary_, count);
    for (int node = 0; node < cluster_.size(); ++node) {
        cluster_.wait_until([&] { return cluster_.sql_value(node, count) == rows; }, kPatience,
                            fmt::format("node {} has all {} rows", node, rows));
    }
    std::string text = fmt::format("the client stopped; every node has the same {} rows", rows);
    if (rows != std::to_string(acknowledged)) {
        text += fmt::format(
            ": the {} that were acknowledged, and those whose answer was lost with a connection",
            acknowledged);
    }
    narrator_.say(text);
    record("rows acknowledged", std::to_string(acknowledged));
    record("rows lost", std::to_string(lost));
    narrator_.table("In numbers", table_);
    narrator_.block("Who streams from whom", cluster_.topology());
    if (lost != 0) {
        throw HarnessError(fmt::format("{} rows that were acknowledged are lost", lost));
    }
    if (cluster_.writable_nodes() != std::vector<int>{primary_}) {
        throw HarnessError("there is not exactly one node that takes writes");
    }
}

std::map<int, Story::Clock::duration> Story::wait_for_standbys(const std::vector<int>& nodes,
                                                               Clock::time_point since,
                                                               const std::function<void()>& check) {
    std::map<int, Clock::duration> streaming;
    std::map<int, bool> attached;
    const auto look_at = [&](int node) {
        if (!streaming.contains(node)) {
            if (!cluster_.streaming_problem(node).empty()) {
                return false;
            }
            streaming[node] = Clock::now() - since;
            narrator_.say(
                fmt::format("node {} streams from node {} and replays new rows", node, primary_));
        }
        const auto id = static_cast<std::size_t>(node);
        if (!attached[node] && cluster_.pool_status().at(id).attached()) {
            attached[node] = true;
            narrator_.say(fmt::format("pgpool shows node {} as up", node));
        }
        return attached[node];
    };
    for (const int waited_for : nodes) {
        cluster_.wait_until(
            [&] {
                if (check) {
                    check();
                }
                bool done = false;
                for (const int node : nodes) {
                    const bool ready = look_at(node);
                    done = node == waited_for ? ready : done;
                }
                return done;
            },
            kPatience,
            fmt::format("node {} streams from node {} and pgpool shows it as up", waited_for,
                        primary_));
    }
    return streaming;
}

void Story::wait_for_hooks() {
    const std::string programs = cluster_.base_directory() + "/bin";
    cluster_.wait_until([&] { return harness::running_programs_of(programs).empty(); }, kPatience,
                        "every hook has ended");
    history_->catch_up();
}

void Story::wait_for_client(Clock::time_point since, const std::string& after_what) {
    // The first of them may have been on its way already.
    writer_.wait_for_commits(2, kPatience);
    const auto outage = writer_.longest_outage(since);
    narrator_.say(fmt::format("the client goes on: rows are acknowledged, the longest wait was {}",
                              seconds_text(outage.length)));
    if (table_.empty()) {
        record("longest wait of the client: " + after_what, seconds_text(outage.length));
    }
}

void Story::record(const std::string& what, const std::string& value) {
    table_.emplace_back(what, value);
}

void Story::say_how_to_use() const {
    const std::string& base = cluster_.base_directory();
    const auto psql = [&](int port, const std::string& host) {
        return fmt::format("PGPASSFILE={}/pgpass psql -h {} -p {} -U postgres postgres\n", base,
                           host, port);
    };
    std::string text = "\nIt is left running. Through pgpool, and each node directly:\n\n  " +
                       psql(cluster_.options().pgpool_port, "127.0.0.1");
    for (int node = 0; node < cluster_.size(); ++node) {
        text += "  " + psql(cluster_.port(node), cluster_.host(node));
    }
    text += fmt::format(
        "\nWhat pgpool thinks of its nodes:\n\n"
        "  PCPPASSFILE={0}/pcppass pcp_node_info -h 127.0.0.1 -p {1} -U pgpool -w -a\n"
        "\nKill the primary once more:\n\n"
        "  kill -9 $(head -n 1 {0}/node{2}/data/postmaster.pid)\n"
        "\nTo look at, in {0}:\n\n"
        "  hooks.conf                 configuration of the hooks\n"
        "  pgpool/pgpool.conf         and of pgpool\n"
        "  state/history              one line for each run of a hook\n"
        "  state/worker-nodeN.log     repairs in the background\n"
        "  pgpool/pgpool.log          pgpool, and the hooks that it ran\n"
        "  nodeN/log/postgresql.log   the servers\n"
        "\nStop it, and remove all of it:\n\n"
        "  {3} {0}\n",
        base, cluster_.options().pcp_port, primary_, options_.stopping);
    std::fputs(text.c_str(), stdout);
}

}  // namespace hooks::quickstart
