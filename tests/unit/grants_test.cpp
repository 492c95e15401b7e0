#include "common/core/grants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

namespace hooks {
namespace {

struct Case {
    const char* statement;
    const char* message;
    int major;
    const char* grant;
};

const Case cases[] = {
    {"SELECT pg_promote(false)", "permission denied for function pg_promote", 15,
     "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO hooks"},
    {"SELECT pg_promote(false)", "keine Berechtigung für Funktion pg_promote", 15,
     "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO hooks"},
    {"SELECT name FROM pg_ls_waldir(), pg_control_system()",
     "permission denied for function pg_ls_waldir", 15, "GRANT pg_monitor TO hooks"},
    {"SELECT current_setting('primary_conninfo')",
     "must be superuser or have privileges of pg_read_all_settings to examine \"primary_conninfo\"",
     15, "GRANT pg_monitor TO hooks"},
    {"ALTER SYSTEM SET primary_conninfo = ''",
     "permission denied to set parameter \"primary_conninfo\"", 15,
     "GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO hooks"},
    {"ALTER SYSTEM RESET pgpool_hooks.synchronous_standby_names", "permission denied", 17,
     "GRANT ALTER SYSTEM ON PARAMETER pgpool_hooks.synchronous_standby_names TO hooks"},
    {"ALTER SYSTEM SET primary_conninfo = ''", "must be superuser to execute ALTER SYSTEM command",
     14, "superuser, for ALTER SYSTEM before PostgreSQL 15"},
    {"CHECKPOINT", "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT", 15,
     "GRANT pg_checkpoint TO hooks"},
    {"CHECKPOINT", "must be superuser to do CHECKPOINT", 13,
     "superuser, for CHECKPOINT before PostgreSQL 15"},
    {"SELECT pg_start_backup('checkpoint', true, false)",
     "permission denied for function pg_start_backup", 14,
     "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean) TO hooks"},
    {"SELECT pg_stop_backup(false, false)", "permission denied for function pg_stop_backup", 10,
     "GRANT EXECUTE ON FUNCTION pg_stop_backup(boolean, boolean) TO hooks"},
    {"SELECT pg_create_physical_replication_slot('pgpool_node_1', true)",
     "must be superuser or replication role to use replication slots", 15,
     "ALTER ROLE hooks REPLICATION"},
    {"SELECT encode(pg_read_binary_file('x', 0, 1, true), 'escape')",
     "permission denied for function pg_read_binary_file", 11,
     "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO hooks"},
    {"SELECT encode(pg_read_binary_file('x', 0, 1, true), 'escape')", "must be superuser to read",
     10, "superuser, for pg_read_binary_file before PostgreSQL 11"},
    {"SELECT 1 FROM public.rows", "permission denied for table rows", 15, ""},
    {"ALTER SYSTEM SET", "permission denied", 15, "GRANT ALTER SYSTEM ON PARAMETER  TO hooks"},
};

TEST(MissingGrant, IsNamedByWhatWasRefused) {
    for (const Case& each : cases) {
        EXPECT_EQ(missing_grant(each.statement, each.message, "hooks", each.major), each.grant)
            << each.statement << ": " << each.message;
    }
    EXPECT_EQ(missing_grant("CHECKPOINT", "", "My Role", 15), "GRANT pg_checkpoint TO \"My Role\"");
}

// What a message tells to grant, the file grants.
TEST(MissingGrant, IsInTheExample) {
    std::ifstream stream(HOOKS_EXAMPLES_DIR "/roles.sql");
    std::ostringstream content;
    content << stream.rdbuf();
    const std::string file = content.str();
    const auto names = [](const std::string& text) {
        const std::regex name("pg_[a-z_]+|[a-z_.]+_(conninfo|names)|REPLICATION");
        return std::vector<std::string>(std::sregex_token_iterator(text.begin(), text.end(), name),
                                        std::sregex_token_iterator());
    };
    int checked = 0;
    for (const Case& each : cases) {
        const std::string grant = each.grant;
        if (!grant.starts_with("GRANT") && !grant.starts_with("ALTER")) {
            continue;
        }
        for (const std::string& name : names(grant)) {
            ++checked;
            EXPECT_NE(file.find(name), std::string::npos) << name;
        }
    }
    EXPECT_GE(checked, 8);
}

}  // namespace
}  // namespace hooks
