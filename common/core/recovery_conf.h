// Recovery settings by server version: what makes a data directory a standby of one primary.
//
//   10, 11   recovery.conf, which must say recovery_target_timeline = 'latest'; what else a node
//   has
//            there is kept
//   12+      standby.signal, and the same settings in postgresql.auto.conf, which outranks every
//            include that older scripts left behind
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/conninfo.h"

namespace hooks {

// Of a recovery.conf that is written anew: restore_command, archive_cleanup_command,
// recovery_end_command and recovery_min_apply_delay. From 12 on they stay where they are.
struct KeptRecovery {
    std::vector<std::pair<std::string, std::string>> settings;  // each once, in this order
    std::vector<std::string> left_out;  // "recovery.conf:3: why", for the log

    // recovery_min_apply_delay, as it is written; empty where there is none.
    std::string apply_delay() const;
};
// `text`: of a recovery.conf or recovery.done, which `origin` names in left_out: lines that nobody
// can read, and a delay that the server would not start with. In place of a restore_command that is
// held, the one that it stands for. nullopt where neither one of these nor primary_conninfo is set:
// that file only keeps a primary from being started, and recovery.done has the node's settings.
std::optional<KeptRecovery> kept_recovery(std::string_view text, const std::string& origin);

struct RecoverySettings {
    Conninfo primary_conninfo;
    std::string primary_slot_name;
    // Only written when there is one; a blocking restore_command can hold up a promotion.
    std::string restore_command;
    KeptRecovery kept = {};  // below 12
    // From 12 to 15: the server's configuration sets promote_trigger_file, and a file of that name
    // would end recovery.
    bool trigger_file_is_set = false;
};

// What must be done to files in the data directory so that the server comes up as that standby.
// Paths are relative to it. Twice gives the same files.
struct RecoveryFiles {
    struct Write {
        std::string path;
        std::string content;
        bool operator==(const Write&) const = default;
    };
    std::vector<Write> writes;          // in this order: the signal file comes first, because a
                                        // server without it would come up as a primary
    std::vector<std::string> removals;  // files whose presence is harmful; remove them last
};

// `auto_conf` is the present content of postgresql.auto.conf; nullopt when there is none. Below 12
// it is written only where a relaxed synchronous_standby_names is put back.
// Settings that would end recovery or point elsewhere (recovery_target*, promote_trigger_file,
// standby_mode, ...) are removed from it, or emptied (trigger_file_is_set); everything else stays.
// An empty primary_conninfo makes an isolated standby. Throws Error{config} on a version below 10,
// on a slot name that PostgreSQL would refuse, and on a keyword that this version's libpq does not
// know.
RecoveryFiles recovery_files(int major_version, const RecoverySettings& settings,
                             const std::optional<std::string>& auto_conf);

// promote_trigger_file: from 12 to 15.
bool knows_promote_trigger_file(int major_version);

// ALTER SYSTEM and reload is enough from 13 on; 12 and below read these settings at start only.
bool follows_by_reload(int major_version);

// Keywords of primary_conninfo that this server's own libpq knows. An unknown one is a FATAL in
// the walreceiver for ever, while the node looks up.
bool conninfo_keyword_known(int major_version, std::string_view keyword);

}  // namespace hooks
