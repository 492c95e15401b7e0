// Recovery settings by server version: what makes a data directory a standby of one primary.
//
//   10, 11   recovery.conf, which must say recovery_target_timeline = 'latest'
//   12+      standby.signal, and the same settings in postgresql.auto.conf, which outranks every
//            include that older scripts left behind
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/core/conninfo.h"

namespace hooks {

struct RecoverySettings {
    Conninfo primary_conninfo;
    std::string primary_slot_name;
    // Only written when there is one; a blocking restore_command can hold up a promotion.
    std::string restore_command;
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
// standby_mode, ...) are removed from it; everything else stays. An empty primary_conninfo makes an
// isolated standby. Throws Error{config} on a version below 10, on a slot name that PostgreSQL
// would refuse, and on a keyword that this version's libpq does not know.
RecoveryFiles recovery_files(int major_version, const RecoverySettings& settings,
                             const std::optional<std::string>& auto_conf);

// ALTER SYSTEM and reload is enough from 13 on; 12 and below read these settings at start only.
bool follows_by_reload(int major_version);

// Keywords of primary_conninfo that this server's own libpq knows. An unknown one is a FATAL in
// the walreceiver for ever, while the node looks up.
bool conninfo_keyword_known(int major_version, std::string_view keyword);

}  // namespace hooks
