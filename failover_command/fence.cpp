// The old primary must not be one beside the new one.
#include <fmt/format.h>

#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {

void Failover::stop_old_primary(int node) {
    Target target = target_of(node);
    // What is left must be enough for the promotion.
    const Deadline deadline = env_.deadline.within(env_.deadline.remaining() * 2 / 3);
    look_at_files(target, 0, deadline);
    if (!target.report.running && ++stops_in_vain_ > 3) {
        throw Error(ErrorKind::refused,
                    fmt::format("{} answers, but no server runs in {}: whatever it is, it "
                                "cannot be stopped, and nobody was promoted beside it",
                                backend(node).label(), target.directory()),
                    "Check its backend_port and backend_data_directory in pgpool.conf.");
    }
    if (!target.report.running) {
        pause_for(look_pause, env_.deadline);  // it may just have ended by itself
    }
    stop_server(target, env_, deadline);
}

}  // namespace hooks::failover
