#include "recovery_1st_stage/decide.h"

#include <fmt/format.h>

#include "common/core/error.h"

namespace hooks::recovery {
namespace {

void append(std::string& list, const std::string& item) {
    list += (list.empty() ? "" : "; ") + item;
}

std::string what_fits(const Request& request) {
    return request.primary_named
               ? std::string("pgpool called the primary's host localhost")
               : fmt::format("pgpool gave no primary host, and {} with port {} fits several nodes",
                             request.primary_directory, request.primary_port);
}

}  // namespace

std::vector<Backend> those_here(const Request& request,
                                const std::vector<PrimaryCandidate>& candidates) {
    std::vector<Backend> here;
    std::string elsewhere;
    for (const auto& [backend, is_here] : candidates) {
        if (is_here && *is_here) {
            here.push_back(backend);
        } else {
            append(elsewhere, fmt::format("{}: {}", backend.label(),
                                          is_here ? "its host is not this one" : is_here.why()));
        }
    }
    if (here.empty()) {
        throw Error(
            ErrorKind::refused,
            fmt::format("pgpool gave no primary host, and none of the backends with {} and port "
                        "{} is on this host, which would be the primary's; {}",
                        request.primary_directory, request.primary_port, elsewhere),
            "On the primary's host its backend_hostname must be an address that the host has "
            "itself, or a name for one (/etc/hosts). By hand, or in the wrapper in PGDATA, the "
            "primary's host can be given as argument 7.");
    }
    return here;
}

Backend the_primary(const Request& request, const std::vector<ServerSeen>& servers) {
    const ServerSeen* found = nullptr;
    bool certain = true;
    std::string seen;
    for (const ServerSeen& server : servers) {
        append(seen, server.is_primary()   ? server.backend.label() + ": is out of recovery"
                     : server.is_standby() ? server.backend.label() + ": is in recovery"
                                           : server.describe());
        if (server.is_primary()) {
            certain = certain && found == nullptr;
            found = &server;
        } else if (!server.is_standby() && server.liveness != Liveness::refused) {
            certain = false;  // it may be the one
        }
    }
    if (found == nullptr || !certain) {
        throw Error(ErrorKind::refused,
                    fmt::format("{}; which backend is the primary is not known: {}",
                                what_fits(request), seen),
                    "In pgpool.conf, give the backends of one host different data directories or "
                    "ports, and host names or addresses. By hand, or in the wrapper in PGDATA, the "
                    "primary's host can be given as argument 7.");
    }
    return found->backend;
}

}  // namespace hooks::recovery
