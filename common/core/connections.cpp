#include "common/core/connections.h"

#include <algorithm>

#include "common/core/recovery_conf.h"

namespace hooks {

Conninfo inspection_conninfo(const Backend& backend, const Config& config) {
    Conninfo conninfo;
    conninfo.set("host", backend.host);
    conninfo.set("port", std::to_string(backend.port));
    conninfo.set("user", config.postgres_user);
    conninfo.set("dbname", config.postgres_database);
    if (!config.passfile.empty()) {
        conninfo.set("passfile", config.passfile);
    }
    for (const auto& [keyword, value] : config.postgres_conninfo.items()) {
        // Those above have settings of their own, which pg_rewind gets, too.
        if (conninfo.find(keyword) == nullptr) {
            conninfo.set(keyword, value);
        }
    }
    return conninfo;
}

namespace {

// `more`: for a program on a node, so nothing of it may be a secret.
Conninfo copy_source(const Backend& source, const std::string& user, const std::string& database,
                     const Conninfo& more, int source_major) {
    Conninfo conninfo;
    conninfo.set("host", source.host);
    conninfo.set("port", std::to_string(source.port));
    conninfo.set("user", user);
    if (!database.empty()) {
        conninfo.set("dbname", database);
    }
    for (const auto& [keyword, value] : more.items()) {
        if (keyword.starts_with("ssl") && keyword != "sslpassword") {
            conninfo.set(keyword, value);
        }
    }
    // pg_rewind and pg_basebackup have no deadline of their own for a source that went silent.
    conninfo.set("connect_timeout", "10");
    conninfo.set("keepalives_idle", "10");
    conninfo.set("keepalives_interval", "5");
    conninfo.set("keepalives_count", "3");
    if (source_major >= 12) {
        conninfo.set("tcp_user_timeout", "30000");
    }
    return conninfo;
}

}  // namespace

Conninfo rewind_source(const Backend& source, const Config& config, int source_major) {
    // Where only the replication is told how to use TLS, the same holds for the other role.
    const auto& items = config.postgres_conninfo.items();
    const bool own = std::any_of(items.begin(), items.end(),
                                 [](const auto& item) { return item.first.starts_with("ssl"); });
    const Conninfo& more = own ? config.postgres_conninfo : config.replication_conninfo;
    return copy_source(source, config.postgres_user, config.postgres_database, more, source_major);
}

Conninfo backup_source(const Backend& source, const Config& config, int source_major) {
    Conninfo conninfo =
        copy_source(source, config.replication_user, "", config.replication_conninfo, source_major);
    conninfo.set("application_name", "pgpool-hooks");
    return conninfo;
}

constexpr int first_with_slot_synchronization = 17;

Conninfo primary_conninfo_for(const Backend& target, const Backend& source, const Config& config,
                              const Conninfo& present, int major) {
    Conninfo conninfo;
    for (const auto& [keyword, value] : present.items()) {
        const bool of_another_role = keyword == "password" && present.find("user") != nullptr &&
                                     *present.find("user") != config.replication_user;
        // The synchronization of logical slots goes to that database; walreceivers do not ask.
        const bool means_nothing =
            keyword == "dbname" &&
            (major < first_with_slot_synchronization || value.empty() || value == "replication");
        if (keyword != "hostaddr" && !means_nothing && !of_another_role &&
            conninfo_keyword_known(major, keyword)) {
            conninfo.set(keyword, value);
        }
    }
    conninfo.set("host", source.host);
    conninfo.set("port", std::to_string(source.port));
    conninfo.set("user", config.replication_user);
    const NodeOptions& options = config.node(target.id);
    if (!options.application_name.empty()) {
        conninfo.set("application_name", options.application_name);
    } else if (!target.application_name.empty()) {
        conninfo.set("application_name", target.application_name);
    } else if (conninfo.find("application_name") == nullptr) {
        conninfo.set("application_name", slot_name(target.id));
    }
    if (!options.passfile.empty()) {
        conninfo.set("passfile", options.passfile);
    }
    conninfo.merge(config.replication_conninfo);
    return conninfo;
}

}  // namespace hooks
