#include "follow_primary_command/decide.h"

#include <fmt/format.h>

namespace hooks::follow {

const ServerSeen* primary_instead(const Request& request, const std::vector<ServerSeen>& servers) {
    const ServerSeen* asked_for = find_server(servers, request.new_primary);
    // Only a server that says so, or a host that says that there is none, is certainly no primary.
    if (asked_for == nullptr ||
        !(asked_for->is_standby() || asked_for->liveness == Liveness::refused)) {
        return nullptr;
    }
    const ServerSeen* found = nullptr;
    for (const ServerSeen& seen : servers) {
        if (seen.is_primary()) {
            if (found != nullptr) {
                return nullptr;
            }
            found = &seen;
        }
    }
    if (found == nullptr) {
        return nullptr;
    }
    for (const ServerSeen& seen : servers) {
        if (seen.server && (seen.server->system_identifier != found->server->system_identifier ||
                            seen.server->timeline > found->server->timeline)) {
            return nullptr;
        }
    }
    return found;
}

Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const std::optional<SourceFacts>& source_facts,
                const std::optional<TargetFacts>& target_facts, const Policy& policy) {
    const int node = request.node;
    const ServerSeen& primary = *find_server(servers, request.new_primary);
    const ServerSeen& target = *find_server(servers, request.node);
    if (const ServerSeen* instead =
            primary.is_primary() ? nullptr : primary_instead(request, servers)) {
        return Plan{"H04",
                    fmt::format("node {} shall follow node {}, which is no primary now ({}); the "
                                "primary is {}, on timeline {}: pgpool gets to know it first",
                                node, request.new_primary, primary.describe(),
                                node_name(instead->backend.id), instead->server->timeline),
                    {HandOver{node}}};
    }
    if (!primary.server) {
        return Refuse{"R04",
                      fmt::format("node {} shall follow node {}, which cannot be asked: {}", node,
                                  request.new_primary, primary.describe()),
                      primary.liveness == Liveness::denied && !primary.hint.empty()
                          ? primary.hint
                          : "If it is down, pgpool calls again after the next failover; if not, "
                            "run pcp_recovery_node for the node that shall follow."};
    }
    if (!primary.is_primary()) {
        // A second failover may have happened since pgpool forked this call.
        return Refuse{"R04",
                      fmt::format("node {} shall follow node {}, which is no primary now ({})",
                                  node, request.new_primary, primary.describe()),
                      "Nothing is done against a node that is not the primary; pgpool calls again "
                      "after the next failover."};
    }
    const auto hand_over = [&](const char* rule, std::string reason) -> Decision {
        return Plan{rule, std::move(reason), {HandOver{node}}};
    };
    if (!target.server) {
        if (node == request.old_primary && !policy.rejoin_old_primary) {
            return Nothing{"H03", fmt::format("node {} was the primary and rejoin_old_primary is "
                                              "off: it stays down",
                                              node)};
        }
        return hand_over("H01", fmt::format("{}; its files must be looked at", target.describe()));
    }
    if (!source_facts || !target_facts) {
        return hand_over("H02", fmt::format("node {} could not be read in SQL", node));
    }
    const RejoinVerdict verdict = judge_rejoin(*source_facts, *target_facts, policy.rejoin);
    Decision decision = plan_rejoin(verdict, *source_facts, *target_facts, policy.rejoin);
    if (const auto* plan = std::get_if<Plan>(&decision)) {
        for (const Step& step : plan->steps) {
            if (std::holds_alternative<Repoint>(step)) {
                return decision;
            }
        }
        return hand_over("H02", fmt::format("{}: {}", plan->rule, plan->reason));
    }
    return decision;
}

}  // namespace hooks::follow
