// Name resolution and TCP connections under a deadline. getaddrinfo(3) has none of its own.
#pragma once

#include <string>
#include <vector>

#include "common/core/deadline.h"
#include "common/io/unique_fd.h"

namespace hooks {

// Numeric addresses of `host`, in the resolver's order; a numeric host is returned as it is,
// without asking anybody. Throws Error{unreachable} or Error{timeout}.
std::vector<std::string> resolve_host(const std::string& host, Deadline deadline);

// Tries the addresses in turn, each with a fair share of what is left. The socket is blocking,
// CLOEXEC, TCP_NODELAY, and has keepalives and TCP_USER_TIMEOUT set, so that a peer that went
// silent is noticed. Throws Error{unreachable} ("connection refused", ...) or Error{timeout}.
UniqueFd tcp_connect(const std::string& host, int port, Deadline deadline);

// True when `host` is an address of this machine (loopback, or one that an interface has), or the
// directory of a unix socket.
bool is_own_address(const std::string& host, Deadline deadline);

}  // namespace hooks
