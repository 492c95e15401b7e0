#include "common/io/local_node.h"

#include "common/core/shell_quote.h"

namespace hooks {

Outcome LocalNode::run(const Command& command, Deadline deadline, const LineSink& on_line) {
    // Nothing is quoted here, but what an SshNode would refuse is refused as well: a command that
    // works on one kind of node works on the other.
    shell_quote(command.argv);
    for (const auto& [name, value] : command.environment) {
        shell_quote(value);
    }
    return run_process(command, deadline, on_line);
}

}  // namespace hooks
