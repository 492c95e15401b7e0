// What the hooks said is lost.
#pragma once

#include <string>
#include <vector>

#include "common/core/lsn.h"

namespace hooks::soak {

struct ReportedLoss {
    Lsn from;
    Lsn to;
    TimelineId timeline = 0;  // 0: the report does not say
    std::string line;
};

// From the history: "lost: WAL 0/3000148 to 0/30A0000".
std::vector<ReportedLoss> reported_losses(const std::string& history);

}  // namespace hooks::soak
