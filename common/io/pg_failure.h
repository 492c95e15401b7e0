// What the text that libpq leaves after a failed connection means. libpq has no structured form of
// it; with PQERRORS_VERBOSE the text carries the SQLSTATE of a server's answer. Pure, so that it is
// tested without servers.
#pragma once

#include <string>
#include <string_view>

#include "common/io/pg_connection.h"

namespace hooks {

struct PgFailure {
    PgAnswer::Kind kind = PgAnswer::Kind::silent;
    std::string detail;    // one line, without LOCATION
    std::string sqlstate;  // empty when no server answered
    // The server hung up without a word: it is being killed or replaced, and the next attempt may
    // tell more.
    bool hung_up = false;
};

PgFailure classify_connection_failure(std::string_view libpq_message);

// What to do about it; empty when nothing is known.
std::string connection_hint(const PgFailure& failure, const Conninfo& target);

// "first; second": lines joined, blanks squeezed, LOCATION lines dropped.
std::string one_line(std::string_view text);

}  // namespace hooks
