// Where the parts of a base backup go on the node that it is for, whether they fit, and how they
// take the place of what is there.
//
// The new files are written into a room on the same filesystem as the place that they are for:
// beside PGDATA where that can be, else in it. They enter by renames of single entries, so that
// symbolic links, mount points, modes, and files that are not PostgreSQL's stay what they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/config.h"

namespace hooks {

// ---- what comes: asked of the source

struct SourceTablespace {
    std::string oid;
    std::string location;  // over there
    std::uint64_t bytes = 0;
};

struct BackupSize {
    bool known = false;
    std::string why_not;
    std::uint64_t data = 0;  // without tablespaces and WAL
    std::uint64_t wal = 0;   // what is written while it is copied, by what pg_wal holds now
    std::vector<SourceTablespace> tablespaces;
};

// ---- where it goes: seen on the target

enum class PlaceKind { data, wal, tablespace };

struct BackupPlace {
    PlaceKind kind = PlaceKind::data;
    std::string path;  // of data and WAL without symbolic links
    bool exists = false;
    bool writable = false;  // it, or where it does not exist what is nearest above it
    bool mount_point = false;
    bool room_beside = false;  // its parent can be written to and is on the same filesystem
    std::uint64_t device = 0;
    std::optional<std::uint64_t> free;  // bytes, for who looked
    std::uint64_t old = 0;              // bytes that go first, where that was measured
    std::vector<std::string> entries;
    std::vector<std::string> mounted;  // those of them that are mount points
    // Of a tablespace:
    std::string oid;
    bool own = false;     // the target's own data directory leads there
    std::string used_by;  // another data directory on that machine leads there too
};

struct BackupSite {
    std::vector<BackupPlace> places;  // that of the data first
    std::string wal_link;             // where pg_wal leads, when it is a symbolic link
    bool wal_mounted = false;         // pg_wal is a mount point
    bool unfinished = false;  // the old data goes, or went, for a base backup that did not end

    const BackupPlace& data() const { return places.front(); }
    const BackupPlace* wal() const;
};

// Run by /bin/sh -eu with the arguments PGDATA, WORK (NodeReport::work_directory), then for each
// tablespace of the source its OID, a location, and "mapped" when hooks.conf says so: else the one
// that the target has, or had before a base backup that did not end, counts more.
extern const std::string_view backup_site_script;
// Throws Error{command} on output that the script does not write.
BackupSite parse_backup_site(std::string_view output);

// "/old=/new,/old2=/new2". Throws Error{config}.
using TablespaceMap = std::vector<std::pair<std::string, std::string>>;
TablespaceMap parse_tablespace_map(std::string_view text);

// The directory for what is new and what is old, on the filesystem of the place.
std::string room_of(const BackupPlace& place);

// ---- the decision

struct BackupChoice {
    bool refused = false;
    bool in_place = false;  // the old data goes when the copy has begun to arrive
    std::string reason;     // the forecast, and why not where it is refused
    std::string next;
};

std::string forecast(const BackupSize& size, const BackupSite& site);
// Whether all of it fits beside what is there.
bool fits_beside(const BackupSize& size, const BackupSite& site);
// R10 when it is refused. `major`: of the source.
BackupChoice choose_backup(BaseBackupPolicy policy, const BackupSize& size, const BackupSite& site,
                           int major);

// ---- the swap

// In the top of a data directory: what a server, or a tool of PostgreSQL, made there.
bool belongs_to_postgres(std::string_view name);
// What the node keeps of its configuration when the rest comes from the source.
bool is_configuration(std::string_view name);
// In pg_wal.
bool belongs_in_wal(std::string_view name);
// What of a place is the old cluster's, to be moved or removed: PG_VERSION first, so that no
// server starts over the rest.
std::vector<std::string> old_entries(const BackupPlace& place, const BackupSite& site, int major);

struct SwapPlace {
    PlaceKind kind = PlaceKind::data;
    std::string current;
    std::string incoming;
    std::string aside;  // where the old ones go
    std::vector<std::string> now;
    std::vector<std::string> next;
};

struct Move {
    bool out = false;
    std::string from;
    std::string to;
    friend bool operator==(const Move&, const Move&) = default;
};

// In order: PG_VERSION goes out before anything else and comes in after everything else, so that
// no server starts in between. Each move can be done again: one out is done when there is something
// in `to`, one in when there is nothing in `from`. `replaced`: names of which the incoming one
// counts whatever they are.
std::vector<Move> plan_swap(const std::vector<SwapPlace>& places, bool keep_configuration,
                            bool wal_mounted, const std::vector<std::string>& replaced);
// The moves as the journal has them: out|in, from, to, with tabs between. Throws Error{refused} on
// a name that a line cannot hold.
std::string journal(const std::vector<Move>& moves);

}  // namespace hooks
