#include "common/core/server_facts.h"

#include <fmt/format.h>

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
