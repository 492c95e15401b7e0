#include "follow_primary_command/request.h"

#include <fmt/format.h>

#include "common/core/error.h"

namespace hooks::follow {

Request parse_request(const Arguments& words, const PgpoolConf& conf) {
    const PoolArguments arguments = parse_pool_arguments(words, "follow_primary_command");
    check_against(conf, arguments, "follow_primary_command");
    if (arguments.main_node < 0) {
        throw Error(ErrorKind::usage,
                    fmt::format("%m is {}: there is no primary to follow", arguments.main_node),
                    "Promote a node first; pgpool then runs follow_primary_command by itself.");
    }
    if (arguments.main_node == arguments.node) {
        throw Error(
            ErrorKind::usage,
            fmt::format("%d and %m are both {}: a node cannot follow itself", arguments.node),
            pool_line_hint("follow_primary_command"));
    }
    return {arguments.node, arguments.main_node, arguments.old_primary};
}

}  // namespace hooks::follow
