// Ports for servers on the loopback interface, where other servers and other clusters live too.
#pragma once

#include <string>
#include <vector>

namespace hooks::harness {

// The first TCP port from `first` on that nobody listens on at any of these IPv4 addresses. No
// other process gets the same answer until this one ends, so the server need not start at once.
int free_port(const std::vector<std::string>& addresses, int first);

}  // namespace hooks::harness
