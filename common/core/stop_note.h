// What failover_command leaves on its own host before it stops an old primary, for the run that
// comes after it should it be killed: a server that was shut down refuses connections like one that
// crashed, and only the first is worth a look at its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/node_report.h"

namespace hooks {

struct StopNote {
    std::int64_t time = 0;    // seconds since 1970, by the clock of this host
    std::string by;           // "run 1a2b"
    bool answered = false;    // to pgpool's host: it can be the primary again
    bool may_return = false;  // nobody was asked to take its place yet

    bool operator==(const StopNote&) const = default;
};

std::string stop_note_text(const StopNote& note);
// Empty for what is no whole note.
std::optional<StopNote> parse_stop_note(std::string_view text);
// An older one tells of a stop that other stops may have come after.
bool still_counts(const StopNote& note, std::int64_t now);

// What became of a stop that was noted, by the files of that node.
enum class NotedStop {
    none,       // it crashed, is a standby's, or is gone: as if there were no note
    running,    // the stop has not ended, or the server was started again
    shut_down,  // cleanly: where its WAL ends can be read
};
NotedStop noted_stop(const NodeReport& report);

}  // namespace hooks
