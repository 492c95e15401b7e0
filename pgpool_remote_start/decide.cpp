#include "pgpool_remote_start/decide.h"

#include <fmt/format.h>

namespace hooks::remote_start {

Decision decide(const Backend& target, const NodeReport& report) {
    const std::string where = fmt::format("{} on {}", target.data_directory, target.host);
    const char* const rebuild = "Run pcp_recovery_node again: its first stage rebuilds the node.";
    if (report.unfinished_marker) {
        return Refuse{"S02",
                      fmt::format("a rewind of {} did not end: it must not be started", where),
                      rebuild};
    }
    if (!report.data_directory) {
        return Refuse{"S01", fmt::format("{} holds no PG_VERSION: it is no data directory", where),
                      rebuild};
    }
    if (report.running) {
        return Plan{"S05",
                    fmt::format("the server of {} runs already", where),
                    {ProveStreaming{target.id, unnamed_primary}}};
    }
    if (!report.tombstone.empty() && !report.standby_signal) {
        return Refuse{"S04", fmt::format("{} is a former primary's: {}", where, report.tombstone),
                      rebuild};
    }
    const bool standby = report.major >= 12 ? report.standby_signal : report.recovery_conf;
    if (!standby) {
        return Refuse{"S03",
                      fmt::format("{} has no {}: it would come up as a second primary", where,
                                  report.major >= 12 ? "standby.signal" : "recovery.conf"),
                      rebuild};
    }
    if (report.major >= 12 && report.recovery_conf) {
        return Refuse{"S04",
                      fmt::format("{} has a recovery.conf, over which PostgreSQL {} does not start",
                                  where, report.major),
                      rebuild};
    }
    Plan plan{"S05", fmt::format("{} is a standby and stopped", where), {}};
    plan.steps.push_back(StartServer{target.id, true});
    plan.steps.push_back(ProveStreaming{target.id, unnamed_primary});
    return plan;
}

}  // namespace hooks::remote_start
