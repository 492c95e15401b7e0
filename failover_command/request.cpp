#include "failover_command/request.h"

namespace hooks::failover {

Request parse_request(const Arguments& words, const PgpoolConf& conf) {
    const PoolArguments arguments = parse_pool_arguments(words, "failover_command");
    check_against(conf, arguments, "failover_command");
    return {arguments.node, arguments.main_node, arguments.old_primary};
}

}  // namespace hooks::failover
