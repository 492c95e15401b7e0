// Data directories in the states that nodes of a cluster are found in, all descended from one.
#pragma once

#include <string>
#include <vector>

#include "tests/oracle/lab.h"

namespace hooks::oracle {

struct Member {
    Server* server = nullptr;
    std::string state;  // in words
    // It was shut down cleanly as a primary: pg_rewind can read it, and it can be started as the
    // primary to follow.
    bool source = false;
};

// Made by servers that run, stream, crash and are promoted; takes a few seconds. All are stopped.
std::vector<Member> make_family(Lab& lab);

}  // namespace hooks::oracle
