// What a role that is no superuser needs for a statement, in SQL that gives it.
#pragma once

#include <string>
#include <string_view>

namespace hooks {

// For a statement that was refused with SQLSTATE 42501, with the server's message, which may be in
// any language: "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO hooks"; or that only a
// superuser may on that version; empty when it is none of the statements of these hooks.
// examples/roles.sql has all of them.
std::string missing_grant(std::string_view statement, std::string_view message,
                          std::string_view role, int major);

}  // namespace hooks
