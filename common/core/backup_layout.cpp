#include "common/core/backup_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::uint64_t megabyte = std::uint64_t{1} << 20;

std::string in_words(std::uint64_t bytes) {
    constexpr std::array units = {"kB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units[unit]);
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// A base backup is never exactly as large as was said before: files of other programs come along,
// and the source goes on.
std::uint64_t with_margin(std::uint64_t bytes) {
    return bytes + bytes / 20 + 16 * megabyte;
}

std::uint64_t need_of(const BackupPlace& place, const BackupSize& size, bool wal_apart) {
    switch (place.kind) {
        case PlaceKind::data:
            return with_margin(size.data + (wal_apart ? 0 : size.wal));
        case PlaceKind::wal:
            return with_margin(size.wal);
        case PlaceKind::tablespace:
            for (const SourceTablespace& each : size.tablespaces) {
                if (each.oid == place.oid) {
                    return with_margin(each.bytes);
                }
            }
            return 0;
    }
    return 0;
}

// By filesystem: several places may share one.
struct Volume {
    std::uint64_t need = 0;
    std::uint64_t old = 0;
    std::optional<std::uint64_t> free;
    std::string where;
};

std::map<std::uint64_t, Volume> volumes_of(const BackupSize& size, const BackupSite& site) {
    std::map<std::uint64_t, Volume> volumes;
    for (const BackupPlace& place : site.places) {
        Volume& volume = volumes[place.device];
        volume.need += need_of(place, size, site.wal() != nullptr);
        volume.old += place.old;
        volume.free = place.free;
        volume.where += (volume.where.empty() ? "" : ", ") + place.path;
    }
    return volumes;
}

bool is_full(const Volume& volume, bool old_goes) {
    return volume.free && volume.need > *volume.free + (old_goes ? volume.old : 0);
}

std::string shortage(const BackupSize& size, const BackupSite& site, bool old_goes) {
    std::string text;
    for (const auto& [device, volume] : volumes_of(size, site)) {
        if (is_full(volume, old_goes)) {
            text += fmt::format("{}{} needed on the filesystem of {}, {} free{}",
                                text.empty() ? "" : "; ", in_words(volume.need), volume.where,
                                in_words(*volume.free),
                                old_goes && volume.old > 0
                                    ? fmt::format(" and {} of old data", in_words(volume.old))
                                    : "");
        }
    }
    return text;
}

std::string tablespace_prefix(int major) {
    return fmt::format("PG_{}_", major);
}

BackupChoice refused(std::string reason, std::string next) {
    BackupChoice choice;
    choice.refused = true;
    choice.reason = std::move(reason);
    choice.next = std::move(next);
    return choice;
}

// What no policy changes.
std::optional<BackupChoice> obstacle(const BackupSite& site, int major) {
    for (const BackupPlace& place : site.places) {
        if (!place.writable) {
            return refused(
                fmt::format("{} {}", place.path,
                            place.exists ? "cannot be written to" : "cannot be created"),
                place.kind == PlaceKind::tablespace
                    ? "Create it for the owner of the data directory, or set tablespace_map."
                    : "Make it, or the directory above it, writable for the owner of the data "
                      "directory.");
        }
        if (place.kind != PlaceKind::tablespace) {
            for (const std::string& name : place.mounted) {
                if (belongs_to_postgres(name) && !(site.wal_mounted && name == "pg_wal")) {
                    return refused(fmt::format("{}/{} is a mount point, and cannot be replaced",
                                               place.path, name),
                                   "Make it a tablespace or a symbolic link, or rebuild this node "
                                   "by hand.");
                }
            }
            continue;
        }
        const bool taken = std::any_of(
            place.entries.begin(), place.entries.end(),
            [&](const std::string& name) { return name.starts_with(tablespace_prefix(major)); });
        if (!place.used_by.empty() || (taken && !place.own)) {
            return refused(
                fmt::format("tablespace {} of the source would go to {}, which holds one of {}",
                            place.oid, place.path,
                            !place.used_by.empty() ? place.used_by : "another cluster"),
                "Set tablespace_map for this node in hooks.conf, such as "
                "1.tablespace_map = '/old=/new'.");
        }
        for (const BackupPlace& other : site.places) {
            if (&other != &place && other.path == place.path) {
                return refused(
                    fmt::format("two parts of the base backup would go to {}", place.path),
                    "Set tablespace_map for this node so that each has its own.");
            }
        }
    }
    return std::nullopt;
}

}  // namespace

const BackupPlace* BackupSite::wal() const {
    for (const BackupPlace& place : places) {
        if (place.kind == PlaceKind::wal) {
            return &place;
        }
    }
    return nullptr;
}

TablespaceMap parse_tablespace_map(std::string_view text) {
    TablespaceMap map;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view item = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
        item = item.substr(0, item.find_last_not_of(' ') + 1);
        const std::size_t sign = item.find('=');
        if (sign == std::string_view::npos || !item.starts_with('/') ||
            !item.substr(sign + 1).starts_with('/')) {
            throw Error(ErrorKind::config, fmt::format("\"{}\" is not of the form /old=/new", item),
                        "Write absolute paths, and commas between the pairs.");
        }
        map.emplace_back(item.substr(0, sign), item.substr(sign + 1));
    }
    return map;
}

std::string room_of(const BackupPlace& place) {
    // What is called pgsql_tmp is left out of a base backup that is taken from this node later.
    return place.kind == PlaceKind::data && place.room_beside
               ? place.path + ".pgpool-hooks"
               : place.path + "/pgsql_tmp.pgpool-hooks";
}

std::string forecast(const BackupSize& size, const BackupSite& site) {
    std::string text;
    for (const BackupPlace& place : site.places) {
        const std::string where =
            place.kind == PlaceKind::data
                ? place.room_beside ? "beside " + place.path : "in " + place.path
            : place.kind == PlaceKind::wal
                ? "for WAL in " + place.path
                : fmt::format("for tablespace {} in {}", place.oid, place.path);
        text += fmt::format(
            "{}expected {}, free {} {}", text.empty() ? "" : "; ",
            size.known ? in_words(need_of(place, size, site.wal() != nullptr)) : "an unknown size",
            place.free ? in_words(*place.free) : "is not known", where);
    }
    return text;
}

bool fits_beside(const BackupSize& size, const BackupSite& site) {
    return shortage(size, site, false).empty();
}

BackupChoice choose_backup(BaseBackupPolicy policy, const BackupSize& size, const BackupSite& site,
                           int major) {
    if (policy == BaseBackupPolicy::never) {
        return refused("base_backup = 'never'",
                       "Set base_backup = 'keep_old' in hooks.conf, then run pcp_recovery_node.");
    }
    if (auto found = obstacle(site, major)) {
        return *found;
    }
    BackupChoice choice;
    choice.reason = forecast(size, site);
    const BackupPlace& data = site.data();
    // Half removed, it is of no use any more, and goes on its way.
    const bool half_removed =
        site.unfinished && std::any_of(site.places.begin(), site.places.end(), [&](const auto& p) {
            return !old_entries(p, site, major).empty();
        });
    const bool has_old = contains(data.entries, "PG_VERSION") || half_removed;
    // Beside the old data nothing can be lost: a size that is not known is found out by trying.
    const bool fits = fits_beside(size, site);
    if (policy == BaseBackupPolicy::keep_old || !has_old) {
        if (fits) {
            return choice;
        }
        return refused(fmt::format("a base backup does not fit: {}", shortage(size, site, false)),
                       has_old
                           ? "Free or add space there; or set base_backup = 'in_place' (or "
                             "'keep_if_space'): the old data is then removed when the copy begins."
                           : "Free or add space there, then run pcp_recovery_node.");
    }
    if (policy == BaseBackupPolicy::keep_if_space && fits && size.known) {
        return choice;
    }
    if (!size.known) {
        if (policy == BaseBackupPolicy::keep_if_space) {
            return choice;
        }
        return refused(
            fmt::format("how much a base backup needs is not known, and the old data is not "
                        "removed for one that may not fit: {}",
                        size.why_not),
            "GRANT pg_monitor to postgres_user, or set base_backup = 'keep_old'.");
    }
    if (const std::string lacks = shortage(size, site, true); !lacks.empty()) {
        return refused(
            fmt::format("a base backup does not fit even in place of the old data: {}", lacks),
            "Free or add space there, then run pcp_recovery_node.");
    }
    choice.in_place = true;
    return choice;
}

bool belongs_to_postgres(std::string_view name) {
    // What servers of version 10 to 18 and their tools make; pg_log is where RHEL had the log.
    constexpr std::array names = {"PG_VERSION",
                                  "backup_label",
                                  "backup_label.old",
                                  "backup_manifest",
                                  "base",
                                  "current_logfiles",
                                  "current_logfiles.tmp",
                                  "fallback_promote",
                                  "global",
                                  "logrotate",
                                  "pg_commit_ts",
                                  "pg_dynshmem",
                                  "pg_hba.conf",
                                  "pg_ident.conf",
                                  "pg_logical",
                                  "pg_multixact",
                                  "pg_notify",
                                  "pg_replslot",
                                  "pg_serial",
                                  "pg_snapshots",
                                  "pg_stat",
                                  "pg_stat_tmp",
                                  "pg_subtrans",
                                  "pg_tblspc",
                                  "pg_twophase",
                                  "pg_wal",
                                  "pg_xact",
                                  "postgresql.auto.conf",
                                  "postgresql.conf",
                                  "postmaster.opts",
                                  "postmaster.pid",
                                  "promote",
                                  "recovery.conf",
                                  "recovery.done",
                                  "recovery.signal",
                                  "server_start.log",
                                  "standby.signal",
                                  "tablespace_map",
                                  "tablespace_map.old"};
    return std::find(names.begin(), names.end(), name) != names.end() ||
           (name.starts_with("pgsql_tmp") && name != "pgsql_tmp.pgpool-hooks");
}

bool is_configuration(std::string_view name) {
    // recovery.conf is no configuration: where it counts, it is written anew.
    return name == "conf.d" ||
           (name.ends_with(".conf") && !name.starts_with('.') && name != "recovery.conf");
}

bool belongs_in_wal(std::string_view name) {
    const bool segment = name.size() >= 24 && name.substr(0, 24).find_first_not_of(
                                                  "0123456789ABCDEF") == std::string_view::npos;
    return segment || name.ends_with(".history") || name == "archive_status" ||
           name == "summaries" || name.starts_with("xlogtemp.");
}

std::vector<std::string> old_entries(const BackupPlace& place, const BackupSite& site, int major) {
    std::vector<std::string> names;
    for (const std::string& name : place.entries) {
        const bool old = place.kind == PlaceKind::data
                             ? belongs_to_postgres(name) && !is_configuration(name) &&
                                   !(site.wal_mounted && name == "pg_wal")
                         : place.kind == PlaceKind::wal
                             ? belongs_in_wal(name)
                             : place.own && name.starts_with(tablespace_prefix(major));
        if (old) {
            names.push_back(name);
        }
    }
    std::stable_partition(names.begin(), names.end(),
                          [](const std::string& name) { return name == "PG_VERSION"; });
    return names;
}

std::vector<Move> plan_swap(const std::vector<SwapPlace>& places, bool keep_configuration,
                            bool wal_mounted, const std::vector<std::string>& replaced) {
    const auto stays = [&](const SwapPlace& place, const std::string& name) {
        switch (place.kind) {
            case PlaceKind::data:
                if (wal_mounted && name == "pg_wal") {
                    return true;
                }
                return !belongs_to_postgres(name) && !contains(replaced, name) &&
                       !(keep_configuration && is_configuration(name));
            case PlaceKind::wal:
                return !belongs_in_wal(name);
            case PlaceKind::tablespace:
                return !contains(place.next, name);
        }
        return true;
    };
    std::vector<Move> out;
    std::vector<Move> in;
    for (const SwapPlace& place : places) {
        for (const std::string& name : place.now) {
            if (!stays(place, name)) {
                out.push_back({true, place.current + "/" + name, place.aside + "/" + name});
            }
        }
    }
    for (const SwapPlace& place : places) {
        for (const std::string& name : place.next) {
            if (!contains(place.now, name) || !stays(place, name)) {
                in.push_back({false, place.incoming + "/" + name, place.current + "/" + name});
            }
        }
    }
    const auto is_version = [](const Move& move) { return move.from.ends_with("/PG_VERSION"); };
    std::stable_partition(out.begin(), out.end(), is_version);
    std::stable_partition(in.begin(), in.end(), [&](const Move& m) { return !is_version(m); });
    out.insert(out.end(), in.begin(), in.end());
    return out;
}

std::string journal(const std::vector<Move>& moves) {
    std::string text;
    for (const Move& move : moves) {
        if ((move.from + move.to).find_first_of("\t\n") != std::string::npos) {
            throw Error(ErrorKind::refused,
                        fmt::format("\"{}\" has a tab or a newline in its name", move.from),
                        "Rename it.");
        }
        text += fmt::format("{}\t{}\t{}\n", move.out ? "out" : "in", move.from, move.to);
    }
    return text;
}

}  // namespace hooks
