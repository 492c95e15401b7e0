// What a node's filesystems are like where a base backup would go.
#include <fmt/format.h>

#include <charconv>

#include "common/core/backup_layout.h"
#include "common/core/error.h"
#include "common/core/report_lines.h"

namespace hooks {

// A report of its own: nothing but a base backup needs it.
const std::string_view backup_site_script = R"sh(
pgdata=$1
unfinished=$2/backup-unfinished
shift 2
while [ "${pgdata%/}" != "$pgdata" ] && [ "$pgdata" != / ]; do pgdata=${pgdata%/}; done
say() { printf '%s: %s\n' "$1" "$2"; }
place() { # KIND PATH
    say place "$1"
    say path "$2"
    at=$2
    while [ ! -d "$at" ]; do at=$(dirname -- "$at"); done
    device=$(stat -c %d -- "$at")
    say device "$device"
    say free "$(df -Pk -- "$at" | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9-][0-9]*%* .*/\1/p')"
    if [ -w "$at" ]; then say writable yes; fi
    if [ "$at" != "$2" ]; then
        if [ -w "$at" ]; then say room_beside yes; fi
        return 0
    fi
    say exists yes
    above=$(dirname -- "$at")
    if mountpoint -q -- "$at" 2>/dev/null; then
        say mount_point yes
    elif [ -w "$above" ] && [ "$(stat -c %d -- "$above")" = "$device" ]; then
        say room_beside yes
    fi
    ls -A -- "$at" | while read -r name; do
        say entry "$name"
        if [ -d "$at/$name" ] && [ ! -L "$at/$name" ] &&
            mountpoint -q -- "$at/$name" 2>/dev/null; then
            say mounted "$name"
        fi
    done
}
real=$(readlink -f -- "$pgdata" || printf '%s' "$pgdata")
# Of the data that is gone, as it was noted before.
noted() { if [ -f "$unfinished" ]; then sed -n "s/^$1: //p" "$unfinished"; fi; }
link_of() { if [ -L "$pgdata/$1" ]; then readlink -- "$pgdata/$1"; else noted "$2"; fi; }
if [ -e "$unfinished" ]; then say unfinished yes; fi
wal=$(link_of pg_wal wal_link)
if [ -n "$wal" ]; then say wal_link "$wal"; fi
if mountpoint -q -- "$pgdata/pg_wal" 2>/dev/null; then say wal_mounted yes; fi
place data "$real"
if [ -n "$wal" ]; then
    case $wal in /*) ;; *) wal=$real/$wal ;; esac
    place wal "$(readlink -f -- "$wal" || printf '%s' "$wal")"
elif mountpoint -q -- "$pgdata/pg_wal" 2>/dev/null; then
    place wal "$(readlink -f -- "$pgdata/pg_wal")"
fi
while [ $# -ge 3 ]; do
    own=$(link_of "pg_tblspc/$1" "tablespace $1")
    location=$2
    if [ "$3" != mapped ] && [ -n "$own" ]; then location=$own; fi
    place tablespace "$location"
    say oid "$1"
    if [ "$own" = "$location" ]; then say own yes; fi
    # Servers of one machine that were not kept apart: what is moved here would be theirs, too.
    for process in /proc/[0-9]*; do
        { read -r name <"$process/comm"; } 2>/dev/null || continue
        if [ "$name" != postgres ] && [ "$name" != postmaster ]; then continue; fi
        there=$(readlink "$process/cwd" 2>/dev/null || true)
        if [ -n "$there" ] && [ "$there" != "$real" ] &&
            [ "$(readlink -f -- "$there/pg_tblspc/$1" 2>/dev/null || true)" = \
                "$(readlink -f -- "$location" || true)" ]; then
            say used_by "$there"
            break
        fi
    done
    shift 3
done
say end report
)sh";

BackupSite parse_backup_site(std::string_view output) {
    BackupSite site;
    bool complete = false;
    const auto number = [](const std::string& text) {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        return error == std::errc() ? std::optional(value) : std::nullopt;
    };
    while (const auto line = next_report_line(output)) {
        const auto& [key, value] = *line;
        if (key == "end") {
            complete = true;
        } else if (key == "unfinished") {
            site.unfinished = true;
        } else if (key == "wal_link") {
            site.wal_link = value;
        } else if (key == "wal_mounted") {
            site.wal_mounted = true;
        } else if (key == "place") {
            BackupPlace& place = site.places.emplace_back();
            place.kind = value == "data"  ? PlaceKind::data
                         : value == "wal" ? PlaceKind::wal
                                          : PlaceKind::tablespace;
        } else if (site.places.empty()) {
            continue;
        } else if (BackupPlace& place = site.places.back(); key == "path") {
            place.path = value;
        } else if (key == "device") {
            place.device = number(value).value_or(0);
        } else if (key == "free") {
            if (const auto kilobytes = number(value)) {
                place.free = *kilobytes * 1024;
            }
        } else if (key == "writable") {
            place.writable = true;
        } else if (key == "exists") {
            place.exists = true;
        } else if (key == "mount_point") {
            place.mount_point = true;
        } else if (key == "room_beside") {
            place.room_beside = true;
        } else if (key == "entry") {
            place.entries.push_back(value);
        } else if (key == "mounted") {
            place.mounted.push_back(value);
        } else if (key == "oid") {
            place.oid = value;
        } else if (key == "own") {
            place.own = true;
        } else if (key == "used_by") {
            place.used_by = value;
        }
    }
    if (!complete || site.places.empty()) {
        throw Error(ErrorKind::command,
                    "the look at the node's filesystems broke off before its end",
                    "Look at what the login shell of that user prints, and whether it ends early.");
    }
    return site;
}

}  // namespace hooks
