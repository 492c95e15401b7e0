#include "common/core/tombstone.h"

#include <fmt/format.h>

namespace hooks {

std::string tombstone_text(const Tombstone& t) {
    std::string out = fmt::format(
        "{} at {}: {} took the place of this node as the primary.\n"
        "#\n"
        "# This was {}. {}.\n"
        "# Done by {}.\n"
        "#\n",
        tombstone_mark, t.time, t.successor, t.node, t.what, t.by);
    out +=
        t.major >= 12
            ? "# While this file is here, PostgreSQL does not start in this directory: it would be "
              "a second\n# primary, and what is written to it would be lost.\n"
            : "# With this file PostgreSQL starts as a standby that follows nobody, and not as a "
              "second primary,\n# whose writes would be lost.\n";
    out += fmt::format(
        "#\n"
        "# How this node gets back: by itself, when Pgpool-II calls follow_primary_command for "
        "it;\n"
        "# otherwise\n"
        "#     pcp_recovery_node -n {}\n"
        "# makes it a standby of the present primary, and removes this file.\n"
        "#\n"
        "# Remove it by hand only when you are certain that no other node became the primary "
        "since\n"
        "# then (SELECT pg_is_in_recovery() on every one of them).\n",
        t.node_id);
    if (t.major < 12) {
        out += "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n";
    }
    return out;
}

}  // namespace hooks
