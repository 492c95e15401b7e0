// The file that keeps a fenced primary from coming up as a second one, also when its machine boots.
//
// It is a recovery.conf: PostgreSQL 12 and later do not start over one ("using recovery command
// file "recovery.conf" is not supported"), whoever starts them, and 10 and 11 start as a standby.
#pragma once

#include <string>
#include <string_view>

namespace hooks {

struct Tombstone {
    int major = 0;
    std::string time;  // UTC
    std::string by;    // "failover_command on host mon1, run 1a2b"
    std::string node;  // "node 0 (10.0.0.1:5432)"
    int node_id = 0;
    std::string successor;  // "node 1 (10.0.0.2:5432)"
    std::string what;       // what was done to the server: a sentence without its end
};

// The content: one line that says it all, the rest for the person who finds it.
std::string tombstone_text(const Tombstone& tombstone);

// How the first line of each begins.
constexpr std::string_view tombstone_mark = "# Fenced by pgpool-hooks";

}  // namespace hooks
