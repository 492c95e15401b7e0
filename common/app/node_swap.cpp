// A complete base backup takes the place of the old files, entry by entry and by a journal: cut off
// anywhere, the next run goes on where this one was.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/app/node_script.h"

namespace hooks {
namespace {

// PGDATA, WORK, keep (yes or no), MAJOR, INCOMING (an argument so that a look at the node sees who
// works on it), where pg_wal leads, whether it is a mount point; then for each place its path, what
// is new, and its room; for tablespaces also the OID.
// Everything is made right before the first move. What says "standby" is in then: whoever starts
// this directory gets one. After a rewind that did not end, what stands in PGDATA may be the
// source's configuration, or half of it; the node's own was saved.
constexpr std::string_view prepare_script = R"sh(
incoming=$5
test -f "$incoming/global/pg_control"
if [ -d "$1" ]; then
    case $(stat -c %a -- "$1"),$(stat -c %a -- "$incoming") in
        750,700) chmod -R g+rX -- "$incoming" ;;
        700,750) chmod -R g-rwx -- "$incoming" ;;
    esac
fi
if [ -e "$2/rewind-unfinished" ] && [ -d "$2/configuration" ]; then
    cp -pR -- "$2/configuration/." "$incoming/"
    ls -A -- "$2/configuration" | sed 's/^/replaced: /'
elif [ "$3" = yes ]; then
    cd -- "$1"
    for file in *.conf conf.d; do
        if [ -e "$file" ] && [ "$file" != recovery.conf ]; then
            cp -pR -- "$file" "$incoming/"
        fi
    done
    cd /
fi
if [ "$4" -ge 12 ]; then
    : >>"$incoming/standby.signal"
else
    # What comes along is of another node's past; the own is read from there when this is cut off.
    rm -f -- "$incoming/recovery.done"
    for file in "$2/settings/recovery.conf" "$1/recovery.conf" "$1/recovery.done"; do
        case $3,$file in no,"$1"/*) continue ;; esac # of another cluster
        if [ ! -e "$incoming/recovery.done" ] && says_more "$file"; then
            cp -p -- "$file" "$incoming/recovery.done"
        fi
    done
    printf "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n" >"$incoming/recovery.conf"
fi
if [ -n "$6" ]; then
    ln -sfn -- "$6" "$incoming/pg_wal"
elif [ "$7" = yes ]; then
    rm -f -- "$incoming/pg_wal"
fi
if [ ! -d "$1" ]; then
    mkdir -p -- "$1"
    chmod "$(stat -c %a -- "$incoming")" -- "$1"
fi
if [ -e "$2/swapped" ] && [ -f "$1/backup_label" ]; then echo "unstarted: yes"; fi
shift 7
while [ $# -ge 4 ]; do
    if [ -n "$4" ]; then ln -sfn -- "$1" "$incoming/pg_tblspc/$4"; fi
    sync -f "$2" 2>/dev/null || sync
    echo "place: $1"
    ls -A -- "$1" | sed 's/^/now: /'
    ls -A -- "$2" | sed 's/^/next: /'
    ls -A -- "$3" | sed 's/^/room: /'
    shift 4
done
echo "end: of the lists"
)sh";

// PGDATA, WORK, INCOMING (seen by a look at the node), whether a server runs there: then every move
// was made, PG_VERSION's last, and none may be made under it.
// The journal ends before anything is deleted. Run again without what it put aside, it would take
// the new files for the old ones and move them out. Filesystems write their renames down each in
// its own time: a power loss must not bring PG_VERSION and the old files of a tablespace together.
constexpr std::string_view swap_script = R"sh(
there() { [ -e "$1" ] || [ -L "$1" ]; }
tab=$(printf '\t')
umask 077
rooms=$2/rooms
sync_all() {
    while IFS=$tab read -r current room; do
        sync -f "$current" 2>/dev/null || sync
    done <"$rooms"
}
if [ "$4" = yes ]; then moves=/dev/null; else moves=$2/swap; fi
while IFS=$tab read -r way from to; do
    case $way in
        out)
            if there "$from" && ! there "$to"; then
                mkdir -p -- "${to%/*}"
                mv -T -- "$from" "$to"
            fi
            case $from in */PG_VERSION) sync_all ;; esac ;;
        in)
            case $from in */PG_VERSION) sync_all ;; esac
            if there "$from"; then
                if there "$to"; then
                    echo "$to came there in the meantime, in the way of $from" >&2
                    exit 1
                fi
                mv -T -- "$from" "$to"
            fi ;;
    esac
done <"$moves"
sync_all
rm -rf -- "$2/rewind-unfinished" "$2/backup-unfinished" "$2/settings" "$2"/pg_control.*
mv -f -- "$2/swap" "$2/swapped"
sync -f "$2" 2>/dev/null || sync
while IFS=$tab read -r current room; do
    rm -rf -- "$room/discarded" "$room/incoming" || true
done <"$rooms"
)sh";

// WORK, then names. What a journal still needs stays.
constexpr std::string_view remove_script = R"sh(
work=$1
shift
if [ -e "$work/swap" ]; then exit 0; fi
tab=$(printf '\t')
if [ -f "$work/rooms" ]; then
    while IFS=$tab read -r current room; do
        case $room in
            */?*.pgpool-hooks) ;;
            *) continue ;;
        esac
        for name in "$@"; do rm -rf -- "$room/$name"; done
        if [ "$room" != "$work" ]; then rmdir -- "$room" 2>/dev/null || true; fi
    done <"$work/rooms"
fi
for name in "$@"; do rm -rf -- "$work/$name"; done
)sh";

struct Lists {
    std::vector<SwapPlace> places;
    std::vector<std::vector<std::string>> rooms;
    std::vector<std::string> replaced;
    bool unstarted = false;
};

Lists parse_lists(const std::string& text, const BackupSite& site) {
    Lists lists;
    bool complete = false;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) {
            continue;
        }
        const std::string key = line.substr(0, colon);
        const std::string value = line.substr(colon + 2);
        if (key == "place" && lists.places.size() < site.places.size()) {
            const BackupPlace& place = site.places[lists.places.size()];
            lists.places.push_back(
                {place.kind, place.path, room_of(place) + "/incoming", {}, {}, {}});
            lists.rooms.emplace_back();
        } else if (key == "replaced") {
            lists.replaced.push_back(value);
        } else if (key == "unstarted") {
            lists.unstarted = true;
        } else if (key == "end") {
            complete = true;
        } else if (lists.places.empty()) {
            continue;
        } else if (key == "now") {
            lists.places.back().now.push_back(value);
        } else if (key == "next") {
            lists.places.back().next.push_back(value);
        } else if (key == "room") {
            lists.rooms.back().push_back(value);
        }
    }
    if (!complete || lists.places.size() != site.places.size()) {
        throw Error(ErrorKind::command,
                    "the lists of the files to swap broke off before their end");
    }
    return lists;
}

// What was never started as it stands is not worth to be kept; all else is until the proof, also
// what another run put aside before and nobody proved the replacement of.
std::string name_aside(const Lists& lists) {
    if (lists.unstarted) {
        return "discarded";
    }
    for (int number = 1;; ++number) {
        const std::string name = number == 1 ? "previous" : fmt::format("previous-{}", number);
        const bool taken =
            std::any_of(lists.rooms.begin(), lists.rooms.end(), [&](const auto& names) {
                return std::find(names.begin(), names.end(), name) != names.end();
            });
        if (!taken) {
            return name;
        }
    }
}

void run_swap(Target& target, const std::string& incoming, Deadline deadline) {
    must(target.node->run_script(swap_script,
                                 {target.directory(), target.report.work_directory, incoming,
                                  target.report.running ? "yes" : "no"},
                                 deadline),
         target, "swapping the base backup in (the next run goes on with it)");
}

void remove(Target& target, Env& env, const std::vector<std::string>& names, Deadline deadline) {
    std::vector<std::string> words = names;
    words.insert(words.begin(), target.report.work_directory);
    std::string why;
    try {
        const Outcome outcome = target.node->run_script(remove_script, words, deadline);
        why = outcome.ok() ? "" : outcome.describe();
    } catch (const Error& error) {
        why = error.what();
    }
    // A failure to clean up is no failure of what was done before it.
    if (!why.empty()) {
        env.log.warn("old files could not be removed; remove them by hand",
                     {{"node", target.node->label()},
                      {"directory", target.report.work_directory},
                      {"why", why}});
    }
}

}  // namespace

void swap_in(Target& target, const BackupSite& site, bool keep_configuration, int major,
             Deadline deadline) {
    const std::string& work = target.report.work_directory;
    const std::string incoming = room_of(site.data()) + "/incoming";
    std::vector<std::string> words = {site.data().path,
                                      work,
                                      keep_configuration ? "yes" : "no",
                                      std::to_string(major),
                                      incoming,
                                      site.wal_mounted ? "" : site.wal_link,
                                      site.wal_mounted ? "yes" : "no"};
    for (const BackupPlace& place : site.places) {
        const std::string room = room_of(place);
        words.insert(words.end(), {place.path, room + "/incoming", room, place.oid});
    }
    const Outcome outcome = target.node->run_script(
        std::string(says_more_function) + std::string(prepare_script), words, deadline);
    must(outcome, target, "preparing the swap (the old data is untouched)");
    Lists lists = parse_lists(outcome.out, site);
    const std::string aside = name_aside(lists);
    for (std::size_t i = 0; i < lists.places.size(); ++i) {
        lists.places[i].aside = room_of(site.places[i]) + "/" + aside;
    }
    const std::vector<Move> moves =
        plan_swap(lists.places, keep_configuration, site.wal_mounted, lists.replaced);
    target.node->replace_file(work + "/swap", journal(moves), deadline);
    run_swap(target, incoming, deadline);
}

void finish_swap(Target& target, Env& env, Deadline deadline) {
    run_swap(target, target.report.work_directory + "/incoming", deadline);
    env.log.warn("an earlier run was cut off while it put a base backup in place; now it is there",
                 {{"node", target.node->label()}, {"directory", target.directory()}});
}

void remove_previous(Target& target, Env& env, Deadline deadline) {
    std::vector<std::string> names = {"previous"};
    for (int number = 2; number < 10; ++number) {
        names.push_back(fmt::format("previous-{}", number));
    }
    names.insert(names.end(),
                 {"discarded", "incoming", "trimmed", "old", "backup.log", "swapped", "rooms"});
    remove(target, env, names, deadline);
}

void remove_incoming(Target& target, Env& env, Deadline deadline) {
    remove(target, env, {"incoming"}, deadline);
}

}  // namespace hooks
