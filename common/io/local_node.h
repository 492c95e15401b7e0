// This machine, as the user who runs this program.
#pragma once

#include "common/io/node.h"

namespace hooks {

class LocalNode : public Node {
  public:
    using Node::Node;
    Outcome run(const Command& command, Deadline deadline, const LineSink& on_line = {}) override;
};

}  // namespace hooks
