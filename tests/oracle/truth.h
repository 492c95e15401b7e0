// Carrying a verdict out for real, on copies.
#pragma once

#include <string>

#include "tests/oracle/answers.h"

namespace hooks::oracle {

struct Truth {
    std::string rule;  // of what was done in the end
    std::string why;   // it does not stream, or which rows differ; empty: a true standby
};

// Starts the source as a primary, and makes the target its standby by what the product does.
Truth rejoin(Lab& lab, const Looked& target, const Looked& source);

// Follows as it is, where pg_rewind says that no rewind is required.
Truth believe_pg_rewind(Lab& lab, const Looked& target, const Looked& source);

}  // namespace hooks::oracle
