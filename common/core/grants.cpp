#include "common/core/grants.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/core/conninfo.h"

namespace hooks {
namespace {

struct Need {
    std::string_view word;   // in the message or the statement
    int from_major;          // below, only a superuser may
    std::string_view grant;  // what comes before " TO role"
};

// By the name that the message has; where it has none (in it are names of functions and views, not
// of what a function looks at), by the statement.
constexpr std::array needs = {
    Need{"pg_promote", 12, "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer)"},
    Need{"pg_start_backup", 10,
         "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean)"},
    Need{"pg_stop_backup", 10, "GRANT EXECUTE ON FUNCTION pg_stop_backup(boolean, boolean)"},
    Need{"pg_reload_conf", 10, "GRANT EXECUTE ON FUNCTION pg_reload_conf()"},
    Need{"pg_wal_replay_resume", 10, "GRANT EXECUTE ON FUNCTION pg_wal_replay_resume()"},
    Need{"pg_read_binary_file", 11,
         "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean)"},
    Need{"pg_file_settings", 10, "GRANT SELECT ON pg_file_settings"},
    Need{"pg_show_all_file_settings", 10, "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings()"},
    Need{"pg_ls_waldir", 10, "GRANT pg_monitor"},
    Need{"primary_conninfo\"", 10, "GRANT pg_monitor"},  // to read it; to set it is ALTER SYSTEM
    Need{"pg_database_size", 10, "GRANT pg_monitor"},
    Need{"pg_tablespace_size", 10, "GRANT pg_monitor"},
};

// Without quotes where SQL needs none: it is read by a person, in a log that would escape them.
std::string identifier(std::string_view name) {
    const bool plain =
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos &&
        !name.empty() && (name[0] < '0' || name[0] > '9');
    return plain ? std::string(name) : quote_sql_identifier(name);
}

std::string_view word_at(std::string_view text, std::size_t index) {
    for (;; --index) {
        const std::size_t length = std::min(text.find_first_of(" ;"), text.size());
        if (index == 0 || length == text.size()) {
            return index == 0 ? text.substr(0, length) : std::string_view();
        }
        text.remove_prefix(length + 1);
    }
}

std::string only_superuser(std::string_view what, int from_major) {
    return fmt::format("superuser, for {} before PostgreSQL {}", what, from_major);
}

const Need* find_need(std::string_view text) {
    for (const Need& need : needs) {
        if (text.find(need.word) != std::string_view::npos) {
            return &need;
        }
    }
    return nullptr;
}

}  // namespace

std::string missing_grant(std::string_view statement, std::string_view message,
                          std::string_view role, int major) {
    const std::string who = identifier(role);
    if (statement.starts_with("ALTER SYSTEM ")) {
        return major < 15 ? only_superuser("ALTER SYSTEM", 15)
                          : fmt::format("GRANT ALTER SYSTEM ON PARAMETER {} TO {}",
                                        word_at(statement, 3), who);
    }
    if (statement.starts_with("CHECKPOINT")) {
        return major < 15 ? only_superuser("CHECKPOINT", 15)
                          : fmt::format("GRANT pg_checkpoint TO {}", who);
    }
    const Need* need = find_need(message);
    if (need == nullptr && statement.find("_replication_slot(") != std::string_view::npos) {
        return fmt::format("ALTER ROLE {} REPLICATION", who);
    }
    if (need == nullptr) {
        need = find_need(statement);
    }
    if (need == nullptr) {
        return {};
    }
    return major < need->from_major ? only_superuser(need->word, need->from_major)
                                    : fmt::format("{} TO {}", need->grant, who);
}

}  // namespace hooks
