// The twelve words that pgpool appends to failover_command and follow_primary_command:
//   %d %h %p "%D" %m %H %M %P %r "%R" %N %S
//
// Pgpool does not quote what it expands, and an unset value vanishes, so the words are checked
// against pgpool.conf before anything is believed. %M (always 0 on current releases) and %r, %R
// (of another node on 4.2 and below) are never used.
#pragma once

#include <string>

#include "common/core/arguments.h"
#include "common/core/pgpool_conf.h"

namespace hooks {

struct PoolArguments {
    int node = -1;          // %d: the detached node, or the one that shall follow
    std::string host;       // %h
    int port = 0;           // %p
    std::string directory;  // %D, may be empty
    int main_node = -1;     // %m: lowest node id that is left, or the new primary; -1: none
    int old_primary = -1;   // %P: -1 unknown, -2 never determined
};

// Throws Error{usage}: too few or too many words, words that cannot be what they should be.
PoolArguments parse_pool_arguments(const Arguments& words, const std::string& command);

// Throws Error{usage} when the words and pgpool.conf do not tell of the same node: arguments that
// are shifted, or the configuration of another pgpool. `main_node` and `old_primary` must be known
// too where they name a node.
void check_against(const PgpoolConf& conf, const PoolArguments& arguments,
                   const std::string& command);

constexpr const char* pool_command_arguments = R"(%d %h %p "%D" %m %H %M %P %r "%R" %N %S)";
// The line for pgpool.conf, for --help.
std::string pool_command_line(const std::string& command);
// A sentence for messages.
std::string pool_line_hint(const std::string& command);

}  // namespace hooks
