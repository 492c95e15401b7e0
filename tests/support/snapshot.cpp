#include "tests/support/snapshot.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/core/error.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;

// Nothing in here moves by itself: no positions in the WAL.
constexpr const char* kServerSql =
    "SELECT concat_ws(', ', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,"
    " 'timeline ' || (SELECT timeline_id FROM pg_control_checkpoint()),"
    " 'WAL of timeline ' || (SELECT max(substr(name, 1, 8)) FROM pg_ls_waldir()"
    "                        WHERE name ~ '^[0-9A-F]{24}$'),"
    " 'follows ' || quote_literal(current_setting('primary_conninfo')),"
    " 'by ' || quote_literal(current_setting('primary_slot_name')),"
    " 'slots ' || (SELECT string_agg(slot_name, ' ' ORDER BY slot_name)"
    "              FROM pg_replication_slots),"
    " 'started ' || pg_postmaster_start_time())";

std::string server_line(const Cluster& cluster, int node) {
    if (!cluster.postgres_runs(node)) {
        return "stopped";
    }
    try {
        return cluster.sql_value(node, kServerSql);
    } catch (const Error& error) {
        return error.what();
    }
}

std::vector<std::string> file_lines(const fs::path& directory, bool with_times) {
    std::vector<std::string> lines;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
        std::string line = entry.path().string();
        if (with_times && entry.is_regular_file(error)) {
            const auto changed = entry.last_write_time(error).time_since_epoch().count();
            line += ' ' + std::to_string(entry.file_size(error)) + ' ' + std::to_string(changed);
        }
        lines.push_back(std::move(line));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace

std::string snapshot(const Cluster& cluster) {
    std::string text;
    for (int node = 0; node < cluster.size(); ++node) {
        text += "node " + std::to_string(node) + ": " + server_line(cluster, node) + "\n";
        const fs::path data = cluster.data_directory(node);
        for (const std::string& line : file_lines(data.parent_path(), false)) {
            text += line + "\n";
        }
        for (const std::string& line : file_lines(data, true)) {
            text += line + "\n";
        }
    }
    return text;
}

}  // namespace hooks::harness
