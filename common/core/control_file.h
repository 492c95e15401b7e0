// global/pg_control itself, for nodes that have no pg_controldata of their server's major version.
#pragma once

#include <string_view>

#include "common/core/control_data.h"

namespace hooks {

// The content of the file as a server of PostgreSQL 10 to 18 writes it on a machine with 64 bits,
// least byte first. Throws Error{command} on anything else: another PG_CONTROL_VERSION (nobody can
// know where its fields stand), another length or byte order, a checksum that does not match.
ControlData parse_control_file(std::string_view bytes);

}  // namespace hooks
