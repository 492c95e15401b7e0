#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/core/error.h"
#include "tests/support/cluster.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kLookTimeout = std::chrono::seconds(2);

int to_int(const std::optional<std::string>& text, int base = 10) {
    return text ? std::stoi(*text, nullptr, base) : 0;
}

std::string section(const std::string& title, const std::string& text) {
    return "----- " + title + "\n" + text + (text.empty() || text.back() == '\n' ? "" : "\n");
}

// Under a parent, one line for each node that streams from it.
void draw(std::ostringstream& out, const std::vector<NodeView>& views,
          const std::vector<std::string>& labels, const std::vector<int>& senders, int parent,
          const std::string& indent, std::vector<bool>& drawn) {
    std::vector<std::size_t> children;
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (senders[i] == parent && !drawn[i]) {
            children.push_back(i);
        }
    }
    for (const std::size_t i : children) {
        const bool last = i == children.back();
        drawn[i] = true;
        out << indent << (last ? "`-- " : "|-- ") << labels[i] << "\n";
        draw(out, views, labels, senders, views[i].id, indent + (last ? "    " : "|   "), drawn);
    }
}

}  // namespace

Conninfo Cluster::conninfo(int node) const {
    Conninfo result;
    result.set("host", host(node))
        .set("port", std::to_string(port(node)))
        .set("user", "postgres")
        .set("dbname", "postgres")
        .set("passfile", passfile());
    return result;
}

Conninfo Cluster::pool_conninfo() const {
    Conninfo result;
    result.set("host", network_->host(kHub))
        .set("port", std::to_string(options_.pgpool_port))
        .set("user", "postgres")
        .set("dbname", "postgres")
        .set("passfile", passfile());
    return result;
}

int Cluster::node_at(const std::string& host_name, int port_number) const {
    for (int node = 0; node < size(); ++node) {
        if (host(node) == host_name && port(node) == port_number) {
            return node;
        }
    }
    return -1;
}

std::vector<PgRow> Cluster::sql(int node, std::string_view statement, Milliseconds timeout) const {
    const Deadline deadline = Deadline::after(timeout);
    return PgConnection::connect(conninfo(node), "harness", deadline)->query(statement, deadline);
}

std::string Cluster::sql_value(int node, std::string_view statement) const {
    const std::vector<PgRow> rows = sql(node, statement);
    if (rows.size() != 1 || rows[0].empty() || !rows[0][0]) {
        throw HarnessError("not one value: " + std::string(statement));
    }
    return *rows[0][0];
}

std::vector<PgRow> Cluster::pgpool_sql(std::string_view statement, Milliseconds timeout) const {
    const Deadline deadline = Deadline::after(timeout);
    return PgConnection::connect(pool_conninfo(), "harness", deadline)->query(statement, deadline);
}

std::string Cluster::start_time(int node) const {
    return sql_value(node, "SELECT pg_postmaster_start_time()");
}

NodeView Cluster::view(int node) const {
    NodeView result;
    result.id = node;
    try {
        const std::vector<PgRow> rows =
            sql(node,
                "SELECT pg_is_in_recovery(), "
                "CASE WHEN NOT pg_is_in_recovery() THEN "
                "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END, "
                "r.received_tli, r.status, "
                // PostgreSQL 10 has no column for it.
                "coalesce(to_jsonb(r) ->> 'sender_host', "
                "substring(r.conninfo from '(?:^| )host=(\\S+)')), "
                "coalesce(to_jsonb(r) ->> 'sender_port', "
                "substring(r.conninfo from '(?:^| )port=(\\d+)')) "
                "FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver AS r ON true",
                kLookTimeout);
        const PgRow& row = rows.at(0);
        result.serving = true;
        result.in_recovery = row[0] == "t";
        result.timeline = result.in_recovery ? to_int(row[2]) : to_int(row[1], 16);
        result.receiver_status = row[3].value_or("");
        result.sender_host = row[4].value_or("");
        result.sender_port = to_int(row[5]);
    } catch (const Error& error) {
        result.why_not = error.message();
    }
    return result;
}

std::vector<int> Cluster::writable_nodes() const {
    std::vector<int> result;
    for (int node = 0; node < size(); ++node) {
        try {
            const Deadline deadline = Deadline::after(kLookTimeout);
            const auto connection = PgConnection::connect(conninfo(node), "harness", deadline);
            // Written, but not kept: looking must not make a second primary differ even more.
            connection->query("BEGIN", deadline);
            const PgOutcome outcome = connection->execute(
                "INSERT INTO public.harness_markers VALUES ('writable?')", deadline);
            if (outcome.ok) {
                result.push_back(node);
            }
        } catch (const Error&) {
            // Nobody can write to a node that does not answer.
        }
    }
    return result;
}

std::optional<int> Cluster::primary() const {
    const std::vector<int> nodes = writable_nodes();
    return nodes.size() == 1 ? std::optional<int>(nodes[0]) : std::nullopt;
}

Outcome Cluster::pcp(const std::string& tool, std::vector<std::string> arguments) const {
    std::vector<std::string> argv{
        tool, "-h", "127.0.0.1", "-p", std::to_string(options_.pcp_port), "-U", "pgpool", "-w"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return hub_->run(std::move(argv), std::chrono::minutes(3),
                     {{"PCPPASSFILE", base_ + "/pcppass"}});
}

std::vector<PoolNode> Cluster::pool_status() const {
    // Before 4.3 a node at a time, and without what pgpool sees when it looks now.
    const bool all_at_once = installed_pgpool() >= 403;
    std::vector<PoolNode> result;
    for (int id = 0; id < (all_at_once ? 1 : size()); ++id) {
        const Outcome outcome = all_at_once ? pcp("pcp_node_info", {"-a"})
                                            : pcp("pcp_node_info", {"-n", std::to_string(id)});
        const std::size_t before = result.size();
        std::istringstream lines(outcome.out);
        for (std::string line; std::getline(lines, line);) {
            // host port status weight status-name [actual-status] role [actual-role] ...
            std::istringstream words(line);
            std::string skip;
            PoolNode node;
            words >> skip >> skip >> skip >> skip >> node.status;
            if (all_at_once ? words >> node.actual_status >> node.role >> node.actual_role
                            : words >> node.role) {
                node.id = static_cast<int>(result.size());
                result.push_back(std::move(node));
            }
        }
        if (result.size() == before) {
            throw HarnessError("pcp_node_info: " + outcome.describe());
        }
    }
    return result;
}

std::string Cluster::streaming_problem(int node) const {
    const std::optional<int> source = primary();
    if (!source) {
        return "there is not exactly one primary";
    }
    if (*source == node) {
        return "it is the primary";
    }
    const NodeView here = view(node);
    const NodeView there = view(*source);
    if (!here.serving) {
        return here.why_not;
    }
    if (!here.in_recovery) {
        return "it is not in recovery";
    }
    if (here.receiver_status != "streaming") {
        return "its WAL receiver is \"" + here.receiver_status + "\"";
    }
    if (node_at(here.sender_host, here.sender_port) != *source) {
        return "it streams from " + here.sender_host + ":" + std::to_string(here.sender_port);
    }
    if (here.timeline != there.timeline) {
        return "it is on timeline " + std::to_string(here.timeline) + ", the primary on " +
               std::to_string(there.timeline);
    }
    try {
        const std::string slot = quote_sql_literal(slot_name(node));
        if (sql(*source, "SELECT 1 FROM pg_replication_slots WHERE active AND slot_name = " + slot)
                .empty()) {
            return "its slot is not active on the primary";
        }
        const std::string marker =
            "marker " + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
        sql(*source,
            "INSERT INTO public.harness_markers VALUES (" + quote_sql_literal(marker) + ")");
        const Deadline deadline = Deadline::after(std::chrono::seconds(5));
        const auto connection = PgConnection::connect(conninfo(node), "harness", deadline);
        while (connection
                   ->query("SELECT 1 FROM public.harness_markers WHERE marker = " +
                               quote_sql_literal(marker),
                           deadline)
                   .empty()) {
        }
    } catch (const Error& error) {
        return error.message();
    }
    return "";
}

std::string Cluster::topology() const {
    std::vector<NodeView> views;
    std::vector<std::string> labels;
    std::vector<int> senders;
    for (int node = 0; node < size(); ++node) {
        NodeView view_of_node = view(node);
        std::string label = "node " + std::to_string(node) + " (" + host(node) + ":" +
                            std::to_string(port(node)) + ")  ";
        int sender = -1;
        if (!view_of_node.serving) {
            label += "down: " + view_of_node.why_not;
        } else if (!view_of_node.in_recovery) {
            label += "primary, timeline " + std::to_string(view_of_node.timeline);
        } else if (view_of_node.receiver_status.empty()) {
            label += "standby, receives nothing";
        } else {
            label += "standby, " + view_of_node.receiver_status + ", timeline " +
                     std::to_string(view_of_node.timeline);
            sender = node_at(view_of_node.sender_host, view_of_node.sender_port);
        }
        views.push_back(std::move(view_of_node));
        labels.push_back(std::move(label));
        senders.push_back(sender);
    }
    std::ostringstream out;
    std::vector<bool> drawn(views.size(), false);
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (senders[i] == -1) {
            drawn[i] = true;
            out << labels[i] << "\n";
            draw(out, views, labels, senders, views[i].id, "", drawn);
        }
    }
    // Standbys that stream from each other hang on nobody.
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (!drawn[i]) {
            out << labels[i] << ", from node " << senders[i] << "\n";
        }
    }
    return out.str();
}

Outcome Cluster::run_hook(const std::string& name, std::vector<std::string> arguments,
                          const Environment& environment, Milliseconds timeout) const {
    std::vector<std::string> argv{hook_path(name), "--config", hooks_conf_path()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return hub_->run(std::move(argv), timeout, environment);
}

Command Cluster::hook_command(const std::string& name, std::vector<std::string> arguments) const {
    std::vector<std::string> argv{hook_path(name), "--config", hooks_conf_path()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return hub_->command(std::move(argv), {});
}

Outcome Cluster::run_shell(const std::string& command_line, const Environment& environment,
                           Milliseconds timeout) const {
    return hub_->run({"/bin/sh", "-c", command_line}, timeout, environment);
}

Placeholders Cluster::placeholders(int node, int new_main, int old_primary) const {
    Placeholders result;
    result.node_id = node;
    result.node_host = host(node);
    result.node_port = port(node);
    result.node_directory = data_directory(node);
    result.new_main_id = new_main;
    if (new_main >= 0) {
        result.new_main_host = host(new_main);
        result.new_main_port = port(new_main);
        result.new_main_directory = data_directory(new_main);
    }
    result.old_primary_id = old_primary;
    if (old_primary >= 0) {
        result.old_primary_host = host(old_primary);
        result.old_primary_port = port(old_primary);
    }
    return result;
}

std::string Cluster::hook_log() const {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::recursive_directory_iterator it(state_dir(), error), end; !error && it != end;
         it.increment(error)) {
        if (it->path().filename() == "diverged") {
            it.disable_recursion_pending();  // segments of WAL
        } else if (it->is_regular_file()) {
            paths.push_back(it->path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::string text;
    for (const fs::path& path : paths) {
        text += section(path.filename(), read_file(path));
    }
    return text;
}

std::string Cluster::pgpool_log() const {
    return pgpool_->log();
}

std::string Cluster::dump() const {
    std::string text = section("topology", topology());
    if (options_.with_pgpool) {
        std::string pool;
        try {
            for (const PoolNode& node : pool_status()) {
                pool += "node " + std::to_string(node.id) + " " + node.status + " " + node.role +
                        " (actually " + node.actual_status + " " + node.actual_role + ")\n";
            }
        } catch (const std::exception& error) {
            pool = error.what();
        }
        text += section("pgpool's view", pool);
        text += section("pgpool.log", last_lines(pgpool_log(), 60));
    }
    text += section("hooks", last_lines(hook_log(), 60));
    for (int node = 0; node < size(); ++node) {
        text +=
            section("server log of node " + std::to_string(node), last_lines(server_log(node), 25));
    }
    return text;
}

}  // namespace hooks::harness
