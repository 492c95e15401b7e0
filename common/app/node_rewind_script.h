// The shell scripts of a rewind. Internal to common/app.
#pragma once

#include <string>
#include <string_view>

namespace hooks {

// PGDATA, WORK, CONFIG_FILE, BYTES that pg_wal will grow by at least, and the locations of the
// source's tablespaces. Saves the node's own configuration, and ends with `refused_early` where
// pg_rewind would fail in the middle.
extern const std::string_view prepare_rewind_script;
constexpr int refused_early = 9;

// PGPASSFILE, then the arguments of WORK/rewind.sh, which goes on whatever becomes of the
// connection: MARKER, PGDATA, WORK, BIN_DIR, SOURCE, STALL (seconds), CONFIG_FILE, and the files to
// remove from a standby.
extern const std::string_view run_rewind_script;
std::string detached_rewind_script();
constexpr int rewind_changed_nothing = 10;  // and would fail again
constexpr int rewind_was_ended = 11;        // from outside, before it changed anything
constexpr int rewind_broke_off = 12;        // the files are of two clusters

// MARKER, PGDATA, WORK, STATE (untouched, copying, rewound), and the files to remove from a
// standby.
std::string settle_rewind_script();

}  // namespace hooks
