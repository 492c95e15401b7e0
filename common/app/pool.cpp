#include "common/app/pool.h"

#include "common/io/pcp.h"

namespace hooks {

void attach_node(int node_id, Env& env, Deadline deadline) {
    PcpOptions options;
    options.host = env.config.pcp_host;
    options.port = env.config.pcp_port != 0 ? env.config.pcp_port : env.pgpool.pcp_port;
    options.user = env.config.pcp_user;
    options.passfile = env.config.pcp_passfile;
    options.bin_dir = env.config.pcp_bin_dir;
    Pcp(std::move(options)).attach_and_wait(node_id, deadline);
}

}  // namespace hooks
