#include "common/core/recovery_conf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/core/conf_file.h"
#include "common/core/conf_words.h"
#include "common/core/error.h"
#include "common/core/held_settings.h"

namespace hooks {
namespace {

constexpr int oldest_major_version = 10;
constexpr int first_with_signal_files = 12;
constexpr int first_with_conninfo_reload = 13;

struct Keyword {
    std::string_view name;
    int since;  // major version of libpq
};
// Deprecated ones that do nothing (tty, authtype, requiressl) are left out: some versions refuse
// them, and none needs them.
constexpr std::array keywords = {
    Keyword{"application_name", 10},
    Keyword{"channel_binding", 13},
    Keyword{"client_encoding", 10},
    Keyword{"connect_timeout", 10},
    Keyword{"dbname", 10},
    Keyword{"fallback_application_name", 10},
    Keyword{"gssdelegation", 16},
    Keyword{"gssencmode", 12},
    Keyword{"gsslib", 10},
    Keyword{"host", 10},
    Keyword{"hostaddr", 10},
    Keyword{"keepalives", 10},
    Keyword{"keepalives_count", 10},
    Keyword{"keepalives_idle", 10},
    Keyword{"keepalives_interval", 10},
    Keyword{"krbsrvname", 10},
    Keyword{"load_balance_hosts", 16},
    Keyword{"max_protocol_version", 18},
    Keyword{"min_protocol_version", 18},
    Keyword{"oauth_client_id", 18},
    Keyword{"oauth_client_secret", 18},
    Keyword{"oauth_issuer", 18},
    Keyword{"oauth_scope", 18},
    Keyword{"options", 10},
    Keyword{"passfile", 10},
    Keyword{"password", 10},
    Keyword{"port", 10},
    Keyword{"replication", 10},
    Keyword{"require_auth", 16},
    Keyword{"requirepeer", 10},
    Keyword{"scram_client_key", 18},
    Keyword{"scram_server_key", 18},
    Keyword{"service", 10},
    Keyword{"ssl_max_protocol_version", 13},
    Keyword{"ssl_min_protocol_version", 13},
    Keyword{"sslcert", 10},
    Keyword{"sslcertmode", 16},
    Keyword{"sslcompression", 10},
    Keyword{"sslcrl", 10},
    Keyword{"sslcrldir", 14},
    Keyword{"sslkey", 10},
    Keyword{"sslkeylogfile", 18},
    Keyword{"sslmode", 10},
    Keyword{"sslnegotiation", 17},
    Keyword{"sslpassword", 13},
    Keyword{"sslrootcert", 10},
    Keyword{"sslsni", 14},
    Keyword{"target_session_attrs", 10},
    Keyword{"tcp_user_timeout", 12},
    Keyword{"user", 10},
};

[[noreturn]] void fail(std::string message, std::string hint = {}) {
    throw Error(ErrorKind::config, std::move(message), std::move(hint));
}

void check(int major_version, const RecoverySettings& settings) {
    if (major_version < oldest_major_version) {
        fail(fmt::format("PostgreSQL {} is too old", major_version),
             fmt::format("Version {} and later are supported.", oldest_major_version));
    }
    for (const auto& item : settings.primary_conninfo.items()) {
        if (!conninfo_keyword_known(major_version, item.first)) {
            fail(fmt::format("the libpq of PostgreSQL {} does not know the keyword \"{}\"",
                             major_version, item.first),
                 "Take it out of replication_conninfo.");
        }
    }
    const std::string& slot = settings.primary_slot_name;
    if (slot.size() > 63 ||
        slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
        fail(fmt::format("\"{}\" cannot name a replication slot", slot));
    }
}

constexpr std::string_view trigger_file = "promote_trigger_file";

bool ends_recovery_or_is_gone(const std::string& as_written) {
    const std::string name = lowercase(as_written);
    return name.starts_with("recovery_target") || name == trigger_file || name == "trigger_file" ||
           name == "standby_mode";
}

// In the order in which they are written.
constexpr std::array kept_names = {
    std::string_view("restore_command"),
    std::string_view("archive_cleanup_command"),
    std::string_view("recovery_end_command"),
    std::string_view("recovery_min_apply_delay"),
};

// As 10 and 11 read it: an integer, and a unit from ms to d.
bool is_delay(std::string_view value) {
    const auto skip = [&](std::string_view characters) {
        const std::size_t count = std::min(value.find_first_not_of(characters), value.size());
        value.remove_prefix(count);
        return count;
    };
    constexpr std::string_view blanks = " \t\n\v\f\r";
    skip(blanks);
    if (value.starts_with('+')) {
        value.remove_prefix(1);
    }
    const std::size_t digits = skip("0123456789");
    skip(blanks);
    const std::string_view unit = value.substr(0, value.find_first_of(blanks));
    value.remove_prefix(unit.size());
    skip(blanks);
    constexpr std::array<std::string_view, 6> units = {"", "ms", "s", "min", "h", "d"};
    return digits > 0 && digits < 11 && value.empty() &&
           std::find(units.begin(), units.end(), unit) != units.end();
}

// By a failover that relaxed it: this node was the primary then, or is a copy of that one. A
// standby needs nobody to confirm anything, and when it is promoted its own setting must be there.
void put_synchronous_back(ConfFile& file) {
    const auto held = held_synchronous(file.value(held_synchronous_name).value_or(""));
    file.remove(held_synchronous_name);
    if (!held || file.value("synchronous_standby_names") != "") {
        return;  // somebody has set it since
    }
    if (held->reset) {
        file.remove("synchronous_standby_names");
    } else {
        file.set("synchronous_standby_names", held->original);
    }
}

// From 12 on. What PostgreSQL puts at the top of a new one.
constexpr std::string_view new_auto_conf =
    "# Do not edit this file manually!\n"
    "# It will be overwritten by the ALTER SYSTEM command.\n";

std::string standby_auto_conf(int major_version, const RecoverySettings& settings,
                              const std::optional<std::string>& present) {
    ConfFile file = ConfFile::parse(present ? std::string_view(*present) : new_auto_conf,
                                    "postgresql.auto.conf");
    const std::vector<ConfSetting> before = file.settings();
    for (const ConfSetting& setting : before) {
        // An empty one was put there for what another file says.
        const bool outranks = knows_promote_trigger_file(major_version) &&
                              lowercase(setting.name) == trigger_file && setting.value.empty();
        if (ends_recovery_or_is_gone(setting.name) && !outranks) {
            file.remove(setting.name);
        }
    }
    if (settings.trigger_file_is_set && knows_promote_trigger_file(major_version)) {
        file.set(trigger_file, "");
    }
    put_synchronous_back(file);
    // Empty ones are set as well: removed, they would let a value of postgresql.conf through.
    file.set("primary_conninfo", settings.primary_conninfo.str());
    file.set("primary_slot_name", settings.primary_slot_name);
    if (!settings.restore_command.empty()) {
        file.set("restore_command", settings.restore_command);
    } else if (const auto held = held_restore_command(file.value("restore_command").value_or(""))) {
        // By a failover that was killed before it could put it back.
        if (held->reset) {
            file.remove("restore_command");
        } else {
            file.set("restore_command", held->original);
        }
    }
    return file.text();
}

// 10 and 11, which stop at an empty slot name and at every parameter that they do not know.
std::string standby_recovery_conf(const RecoverySettings& settings) {
    ConfFile file = ConfFile::parse("", "recovery.conf");
    file.set("standby_mode", "on");
    if (!settings.primary_conninfo.empty()) {
        file.set("primary_conninfo", settings.primary_conninfo.str());
    }
    if (!settings.primary_slot_name.empty()) {
        file.set("primary_slot_name", settings.primary_slot_name);
    }
    file.set("recovery_target_timeline", "latest");
    for (const auto& [name, value] : settings.kept.settings) {
        file.set(name, value);
    }
    if (!settings.restore_command.empty()) {
        file.set("restore_command", settings.restore_command);
    }
    return file.text();
}

}  // namespace

RecoveryFiles recovery_files(int major_version, const RecoverySettings& settings,
                             const std::optional<std::string>& auto_conf) {
    check(major_version, settings);
    if (major_version < first_with_signal_files) {
        RecoveryFiles files{{{"recovery.conf", standby_recovery_conf(settings)}},
                            {"recovery.done"}};
        if (auto_conf) {
            ConfFile file = ConfFile::parse(*auto_conf, "postgresql.auto.conf");
            if (file.find(held_synchronous_name) != nullptr) {
                put_synchronous_back(file);
                files.writes.push_back({"postgresql.auto.conf", file.text()});
            }
        }
        return files;
    }
    // recovery.signal: 12 to 18 leave it behind at a promotion, and then do not start any more.
    return {{{"standby.signal", ""},
             {"postgresql.auto.conf", standby_auto_conf(major_version, settings, auto_conf)}},
            {"recovery.conf", "recovery.done", "recovery.signal"}};
}

std::string KeptRecovery::apply_delay() const {
    for (const auto& [name, value] : settings) {
        if (name == "recovery_min_apply_delay") {
            return value;
        }
    }
    return "";
}

std::optional<KeptRecovery> kept_recovery(std::string_view text, const std::string& origin) {
    KeptRecovery kept;
    // Each line by itself: what is behind one that nobody can read counts.
    std::string readable;
    std::string line_number;  // as newlines, for the messages
    for (std::size_t at = 0; at < text.size(); line_number += '\n') {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        try {
            const ConfFile file = ConfFile::parse(line_number + std::string(line), origin);
            if (!file.settings().empty() &&
                lowercase(file.settings()[0].name).starts_with("include")) {
                kept.left_out.push_back(
                    fmt::format("{}:{}: another file is included, which is not followed", origin,
                                line_number.size() + 1));
            }
            readable.append(line).append("\n");
        } catch (const Error& error) {
            kept.left_out.push_back(error.message());
        }
    }
    const ConfFile file = ConfFile::parse(readable, origin);
    for (const std::string_view name : kept_names) {
        std::string value = file.value(name).value_or("");
        if (const auto held = held_restore_command(value); held && name == "restore_command") {
            value = held->original;
        }
        if (name == "recovery_min_apply_delay" && !value.empty() && !is_delay(value)) {
            kept.left_out.push_back(fmt::format("{}: \"{}\" is no {}", origin, value, name));
        } else if (!value.empty()) {
            kept.settings.emplace_back(name, value);
        }
    }
    const bool nothing = kept.settings.empty() && kept.left_out.empty() &&
                         file.value("primary_conninfo").value_or("").empty();
    return nothing ? std::nullopt : std::optional(std::move(kept));
}

bool knows_promote_trigger_file(int major_version) {
    return major_version >= first_with_signal_files && major_version < 16;
}

bool follows_by_reload(int major_version) {
    return major_version >= first_with_conninfo_reload;
}

bool conninfo_keyword_known(int major_version, std::string_view keyword) {
    return std::any_of(keywords.begin(), keywords.end(), [&](const Keyword& each) {
        return each.name == keyword && each.since <= major_version;
    });
}

}  // namespace hooks
