#include "common/core/server_facts.h"

#include <fmt/format.h>

#include <cstdlib>

#include "common/core/conninfo.h"
#include "common/core/error.h"
#include "common/core/held_settings.h"

namespace hooks {

const char* to_string(Liveness liveness) {
    switch (liveness) {
        case Liveness::serving:
            return "serving";
        case Liveness::rejecting:
            return "rejecting connections";
        case Liveness::refused:
            return "not running";
        case Liveness::denied:
            return "access denied";
        case Liveness::silent:
            return "no answer";
    }
    return "unknown";
}

namespace {

// Nothing where it cannot be read, as a URI.
Conninfo conninfo_of(const ServerFacts& facts) {
    try {
        return Conninfo::parse(conninfo_without_hold(facts.primary_conninfo));
    } catch (const Error&) {
        return {};
    }
}

}  // namespace

std::string ServerFacts::application_name() const {
    const Conninfo conninfo = conninfo_of(*this);
    if (const std::string* name = conninfo.find("application_name"); name && !name->empty()) {
        return *name;
    }
    return major() >= 12 && !cluster_name.empty() ? cluster_name : "walreceiver";
}

bool ServerFacts::synchronous_is_relaxed() const {
    return synchronous_standby_names.empty() && held_synchronous(synchronous_held).has_value();
}

std::string ServerFacts::synchronous_as_meant() const {
    return synchronous_is_relaxed() ? held_synchronous(synchronous_held)->original
                                    : synchronous_standby_names;
}

bool ServerFacts::follows(const std::string& host, int port) const {
    if (sender_host == host && sender_port == port) {
        return true;
    }
    const Conninfo conninfo = conninfo_of(*this);
    const std::string* at = conninfo.find("port");
    const int its_port = at == nullptr || at->empty() ? 5432 : std::atoi(at->c_str());
    for (const char* keyword : {"host", "hostaddr"}) {
        if (const std::string* name = conninfo.find(keyword)) {
            if (*name == host && its_port == port) {
                return true;
            }
        }
    }
    return false;
}

std::string ServerSeen::describe() const {
    if (!server) {
        return fmt::format("{}: {}: {}", backend.label(), to_string(liveness), detail);
    }
    if (server->in_recovery) {
        return fmt::format("{}: standby, timeline {}, WAL up to {}", backend.label(),
                           server->timeline, server->end_of_wal());
    }
    return fmt::format("{}: primary, timeline {}, WAL up to {}", backend.label(), server->timeline,
                       server->flushed);
}

const ServerSeen* find_server(const std::vector<ServerSeen>& servers, int node_id) {
    for (const ServerSeen& seen : servers) {
        if (seen.backend.id == node_id) {
            return &seen;
        }
    }
    return nullptr;
}

}  // namespace hooks
