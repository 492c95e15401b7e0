#include "common/core/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/core/backup_layout.h"
#include "common/core/error.h"
#include "common/core/recovery_conf.h"

namespace hooks {
namespace {

[[noreturn]] void fail(std::string message, std::string hint = {}) {
    throw Error(ErrorKind::config, std::move(message), std::move(hint));
}

[[noreturn]] void mismatch(std::string_view text, std::string_view expected) {
    fail(fmt::format("\"{}\" is not {}", text, expected));
}

// convert(): from text to a value. `type` is that of the row.

constexpr std::string_view choice_separator = " | ";
constexpr std::string_view tablespace_map_type = "/old=/new pairs";

// The place of `text` in a type such as "promote | refuse".
std::size_t choice(std::string_view text, std::string_view type) {
    std::string_view rest = type;
    for (std::size_t index = 0; !rest.empty(); ++index) {
        const std::size_t length = std::min(rest.find(choice_separator), rest.size());
        if (rest.substr(0, length) == text) {
            return index;
        }
        rest.remove_prefix(std::min(length + choice_separator.size(), rest.size()));
    }
    mismatch(text, fmt::format("one of {}", type));
}

void convert(std::string_view text, std::string_view type, std::string& out) {
    if (type == "path" && !text.starts_with('/')) {
        mismatch(text, "an absolute path");
    }
    if (type.find(choice_separator) != std::string_view::npos) {
        choice(text, type);
    }
    if (type == tablespace_map_type) {
        parse_tablespace_map(text);
    }
    out = text;
}

void convert(std::string_view text, std::string_view /*type*/, bool& out) {
    const std::string word = lowercase(text);
    const auto is_one_of = [&](const auto&... words) { return ((word == words) || ...); };
    if (is_one_of("on", "true", "yes", "1")) {
        out = true;
    } else if (is_one_of("off", "false", "no", "0")) {
        out = false;
    } else {
        mismatch(text, "on or off");
    }
}

// Every number of hooks.conf is a port.
void convert(std::string_view text, std::string_view /*type*/, int& out) {
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, out);
    if (error != std::errc() || stopped != end || out < 1 || out > 65535) {
        mismatch(text, "a port (1 to 65535)");
    }
}

void convert(std::string_view text, std::string_view /*type*/, Milliseconds& out) {
    const auto duration = parse_duration(text);
    if (!duration || duration->count() == 0) {
        mismatch(text, "a duration such as 500ms, 25s, 10min or 1h");
    }
    out = *duration;
}

void convert(std::string_view text, std::string_view type, std::optional<Milliseconds>& out) {
    out.reset();
    if (lowercase(text) != "off") {
        convert(text, type, out.emplace());
    }
}

void convert(std::string_view text, std::string_view /*type*/, Conninfo& out) {
    out = Conninfo::parse(text);
    // ALTER SYSTEM takes anything, and a standby that was streaming would stop. The keyword is not
    // shown: it may be the rest of a password.
    constexpr int any_version = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < out.items().size(); ++i) {
        const std::string& keyword = out.items()[i].first;
        if (!conninfo_keyword_known(any_version, keyword)) {
            fail(fmt::format("the keyword at place {} is none of libpq's", i + 1));
        }
        if (keyword == "host" || keyword == "hostaddr" || keyword == "port") {
            fail(fmt::format("\"{}\" is not for all nodes to share", keyword),
                 "Take it out: each connection has that of its server.");
        }
    }
}

template <class Enum>
requires std::is_enum_v<Enum>
void convert(std::string_view text, std::string_view type, Enum& out) {
    out = static_cast<Enum>(choice(text, type));
}

// Only keys whose default is empty ever get an empty text.
template <class Value>
void assign(std::string_view text, std::string_view type, Value& out) {
    if (text.empty()) {
        out = Value();
    } else {
        convert(text, type, out);
    }
}

// `config` is nullptr for NODEID.key.
using Store = void (*)(Config* config, NodeOptions& node, std::string_view text,
                       std::string_view type);

template <auto Member>
void store(Config* config, NodeOptions& node, std::string_view text, std::string_view type) {
    if constexpr (std::is_invocable_v<decltype(Member), NodeOptions&>) {
        assign(text, type, node.*Member);
    } else {
        assign(text, type, config->*Member);
    }
}

// The passfile is one of this machine and one of every node.
void store_passfile(Config* config, NodeOptions& node, std::string_view text,
                    std::string_view type) {
    assign(text, type, node.passfile);
    if (config != nullptr) {
        config->passfile = node.passfile;
    }
}

enum class Scope { all, each_node, one_node };

struct Option {
    std::string_view name;
    std::string_view type;  // the names of an enumeration stand in the order of its enumerators
    std::string_view default_value;
    Scope scope;
    Store store;
    std::string_view text;
    std::string_view when_empty = {};
};

constexpr std::array options = {
    Option{"pgpool_conf", "path", "", Scope::all, &store<&Config::pgpool_conf>,
           "Backends, their ports and the PCP settings are read from here, so that nothing has to "
           "be written twice.",
           "/etc/pgpool2/pgpool.conf, then /etc/pgpool-II/pgpool.conf"},
    Option{"local_nodes", "on/off", "on", Scope::all, &store<&Config::local_nodes>,
           "Whether commands for a node whose address is one of this machine's own run here "
           "instead of through SSH. Those for a node behind a unix socket always do."},
    Option{"ssh_user", "string", "postgres", Scope::each_node, &store<&NodeOptions::ssh_user>,
           "Who logs in to the nodes: the owner of the data directory."},
    Option{"ssh_host", "string", "", Scope::one_node, &store<&NodeOptions::ssh_host>,
           "Where SSH reaches the node, if that is not its backend_hostname.", "backend_hostname"},
    Option{"ssh_port", "port", "22", Scope::each_node, &store<&NodeOptions::ssh_port>,
           "The port of sshd."},
    Option{"ssh_identity_file", "path", "", Scope::each_node,
           &store<&NodeOptions::ssh_identity_file>,
           "The private key. It must not need a passphrase.", "the usual names in ~/.ssh"},
    Option{"ssh_known_hosts_file", "path", "", Scope::each_node,
           &store<&NodeOptions::ssh_known_hosts_file>,
           "Host keys are always checked against this file, and never added to it.",
           "~/.ssh/known_hosts"},
    Option{"postgres_user", "string", "postgres", Scope::all, &store<&Config::postgres_user>,
           "The role that looks at the servers and promotes one of them. A password can only come "
           "from the passfile."},
    Option{"postgres_database", "string", "postgres", Scope::all,
           &store<&Config::postgres_database>, "The database that this role connects to."},
    Option{
        "postgres_conninfo", "string", "", Scope::all, &store<&Config::postgres_conninfo>,
        "More for its connections, its ssl settings also for those of pg_rewind on the nodes; for "
        "example sslmode=verify-full sslrootcert=/etc/ssl/ca.pem.",
        "nothing more"},
    Option{"replication_user", "string", "repl", Scope::all, &store<&Config::replication_user>,
           "The role in primary_conninfo, and of base backups."},
    Option{"replication_conninfo", "string", "", Scope::all, &store<&Config::replication_conninfo>,
           "More for primary_conninfo, for example sslmode=verify-full.", "nothing more"},
    Option{"passfile", "path", "", Scope::each_node, &store_passfile,
           "Where the passwords of both roles are, on this machine and on the nodes.",
           "~/.pgpass of the user who runs the hook or the server"},
    Option{"postgres_bin_dir", "path", "", Scope::each_node, &store<&NodeOptions::postgres_bin_dir>,
           "Where pg_ctl, pg_rewind and pg_basebackup are on a node.",
           "found on each node from its PG_VERSION"},
    Option{"application_name", "string", "", Scope::one_node,
           &store<&NodeOptions::application_name>,
           "The standby's name in pg_stat_replication and synchronous_standby_names.",
           "backend_application_name, else the name of its slot"},
    Option{"start_command", "string", "", Scope::each_node, &store<&NodeOptions::start_command>,
           "Starts the server of a node, by /bin/sh there; PGDATA is in its environment.",
           "systemctl, pg_ctlcluster or pg_ctl, as found"},
    Option{"stop_command", "string", "", Scope::each_node, &store<&NodeOptions::stop_command>,
           "Stops the server of a node, fast, in the same way.",
           "systemctl, pg_ctlcluster or pg_ctl, as found"},
    Option{"pcp_host", "string", "localhost", Scope::all, &store<&Config::pcp_host>,
           "Where pgpool's PCP process listens, which attaches a node that is ready."},
    Option{"pcp_port", "port", "", Scope::all, &store<&Config::pcp_port>, "The port of PCP.",
           "that of pgpool.conf"},
    Option{"pcp_user", "string", "pgpool", Scope::all, &store<&Config::pcp_user>,
           "A user of pcp.conf."},
    Option{"pcp_passfile", "path", "", Scope::all, &store<&Config::pcp_passfile>,
           "The password of that user, in the format of .pcppass.", "~/.pcppass"},
    Option{"pcp_bin_dir", "path", "", Scope::all, &store<&Config::pcp_bin_dir>,
           "Where pcp_attach_node is.", "found on PATH"},
    Option{"failover_timeout", "duration", "25s", Scope::all, &store<&Config::failover_timeout>,
           "How long failover_command may take. pgpool gives its clients up after 30 s."},
    Option{"follow_timeout", "duration", "10min", Scope::all, &store<&Config::follow_timeout>,
           "How long it may take until a node follows the new primary. A base backup is not "
           "counted."},
    Option{"recovery_timeout", "duration, or off", "off", Scope::all,
           &store<&Config::recovery_timeout>,
           "How long recovery_1st_stage may take, base backup included."},
    Option{"connect_timeout", "duration", "2s", Scope::all, &store<&Config::connect_timeout>,
           "How long one node may take to answer before it counts as unreachable."},
    Option{
        "fence_timeout", "duration", "2s", Scope::all, &store<&Config::fence_timeout>,
        "How long ssh may take to reach the host of a primary that does not answer, from here and "
        "through a standby that still streams from it. Counted from the first look on, beside "
        "connect_timeout."},
    Option{"stall_timeout", "duration", "2min", Scope::all, &store<&Config::stall_timeout>,
           "How long a rewind or a base backup may go without any progress until it is ended. A "
           "source that is "
           "frozen or was lost shows itself by that, while the time that a copy takes has no "
           "limit."},
    Option{"candidate", "most_advanced | pgpool", "most_advanced", Scope::all,
           &store<&Config::candidate>,
           "Which standby is promoted: the one that has received most, or the one that pgpool "
           "names (%m)."},
    Option{"unfenced_primary", "promote | refuse", "promote", Scope::all,
           &store<&Config::unfenced_primary>,
           "What to do when the old primary can neither be reached nor be stopped. Promoting keeps "
           "the service up; refusing makes sure that there are never two primaries."},
    Option{
        "relax_synchronous", "off | until_standby_returns", "off", Scope::all,
        &store<&Config::relax_synchronous>,
        "What to do when synchronous_standby_names of the new primary asks for more standbys than "
        "are left. off: its commits wait for one. until_standby_returns: it is emptied, and put "
        "back when enough of them stream; until then acknowledged rows are on one node only, and "
        "are lost with it."},
    Option{"rejoin_old_primary", "on/off", "on", Scope::all, &store<&Config::rejoin_old_primary>,
           "Whether an old primary that is dead or stale is repaired without being asked for."},
    Option{"base_backup", "keep_old | keep_if_space | in_place | never", "keep_old", Scope::all,
           &store<&Config::base_backup>,
           "Whether a node that cannot be rewound may be rebuilt. The old data is kept until its "
           "replacement is proved, or only where both fit, or removed when the copy begins to "
           "arrive."},
    Option{"tablespace_map", tablespace_map_type, "", Scope::one_node,
           &store<&NodeOptions::tablespace_map>,
           "Where tablespaces of the primary go on this node in a base backup.",
           "where the node has them, else the same path"},
    Option{"failed_standby_slot", "keep_if_bounded | keep | drop", "keep_if_bounded", Scope::all,
           &store<&Config::failed_standby_slot>,
           "What becomes of the slot of a standby that failed, and of any node that is given up: "
           "an old primary with rejoin_old_primary off, a host that is not back within "
           "follow_timeout. A kept slot saves the node a rebuild, but without "
           "max_slot_wal_keep_size it can fill the primary's disk."},
    Option{"state_dir", "path", "/var/lib/pgpool-hooks", Scope::all, &store<&Config::state_dir>,
           "History, locks and the logs of workers; ~/.pgpool-hooks when this cannot be written."},
    Option{"log_level", "error | warn | info | debug", "info", Scope::all,
           &store<&Config::log_level>, "How much is logged."},
    Option{"syslog", "on/off", "on", Scope::all, &store<&Config::syslog>,
           "Whether to log to syslog, too. pgpool may discard what a hook prints."},
};

const Option* find_option(std::string_view name) {
    const auto found = std::find_if(options.begin(), options.end(),
                                    [&](const Option& each) { return each.name == name; });
    return found == options.end() ? nullptr : &*found;
}

void apply(const Option& option, Config* config, NodeOptions& node, std::string_view text) {
    if (text.empty() && !option.default_value.empty()) {
        fail("must not be empty");
    }
    option.store(config, node, text, option.type);
}

// "Did you mean ...?", or where the names stand when nothing is near.
std::string suggestion(std::string_view prefix, std::string_view name) {
    const auto distance = [&](const Option& option) { return edit_distance(name, option.name); };
    const auto nearest = std::min_element(
        options.begin(), options.end(),
        [&](const Option& a, const Option& b) { return distance(a) < distance(b); });
    if (distance(*nearest) > std::max(std::size_t{2}, name.size() / 3)) {
        return "Run the hook with --help for the names of all keys.";
    }
    return fmt::format("Did you mean \"{}{}\"?", prefix, nearest->name);
}

// A setting of the file, its name taken apart: "1.ssh_port".
struct Key {
    std::string_view prefix;  // "1." or nothing
    std::optional<int> node;
    std::string name;
};

Key split_key(std::string_view written) {
    int node = 0;
    const char* const end = written.data() + written.size();
    const auto [stopped, error] = std::from_chars(written.data(), end, node);
    if (error != std::errc() || stopped == end || *stopped != '.') {
        return {{}, std::nullopt, lowercase(written)};
    }
    const auto length = static_cast<std::size_t>(stopped + 1 - written.data());
    return {written.substr(0, length), node, lowercase(written.substr(length))};
}

// Throws when there is no such key, or not in this place.
const Option& option_for(const Key& key, std::string_view written) {
    const Option* const option = find_option(key.name);
    if (option == nullptr) {
        fail(fmt::format("unknown key \"{}\"", written), suggestion(key.prefix, key.name));
    }
    if (key.node && option->scope == Scope::all) {
        fail(fmt::format("\"{}\" cannot be set for one node", option->name),
             fmt::format("Write it without \"{}\".", key.prefix));
    }
    if (!key.node && option->scope == Scope::one_node) {
        fail(fmt::format("\"{}\" cannot be the same for all nodes", option->name),
             fmt::format("Put the id of a node in front of it, as in \"1.{}\".", option->name));
    }
    return *option;
}

void apply_setting(const ConfSetting& setting, const Key& key, Config& config) {
    const Option& option = option_for(key, setting.name);
    NodeOptions& node =
        key.node ? config.node_overrides.try_emplace(*key.node, config.node_defaults).first->second
                 : config.node_defaults;
    try {
        apply(option, key.node ? nullptr : &config, node, setting.value);
    } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("{}: {}", setting.name, error.message()),
                    !error.hint().empty() ? error.hint()
                                          : "Correct that line; --help tells what each key takes.");
    }
}

// Two passes make the order of the lines unimportant: a node starts from what all nodes have.
void apply_settings(const ConfFile& file, Config& config, bool for_one_node) {
    for (const ConfSetting& setting : file.settings()) {
        const Key key = split_key(setting.name);
        if (key.node.has_value() == for_one_node) {
            in_context(fmt::format("{}:{}", file.origin(), setting.line),
                       [&] { apply_setting(setting, key, config); });
        }
    }
}

}  // namespace

const NodeOptions& Config::node(int id) const {
    const auto found = node_overrides.find(id);
    return found == node_overrides.end() ? node_defaults : found->second;
}

const std::vector<OptionRow>& option_table() {
    static const std::vector<OptionRow> table = [] {
        std::vector<OptionRow> rows;
        rows.reserve(options.size());
        for (const Option& each : options) {
            rows.push_back({each.name, each.type, each.default_value, each.scope != Scope::all,
                            each.text, each.when_empty, each.scope == Scope::one_node});
        }
        return rows;
    }();
    return table;
}

Config default_config() {
    Config config;
    for (const Option& option : options) {
        apply(option, &config, config.node_defaults, option.default_value);
    }
    return config;
}

Config parse_config(const ConfFile& file) {
    Config config = default_config();
    apply_settings(file, config, false);
    apply_settings(file, config, true);
    return config;
}

}  // namespace hooks
