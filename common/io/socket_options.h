// How soon a peer that went silent is noticed when nothing else is: the same for every TCP
// connection, whether this library or libpq opens it.
#pragma once

namespace hooks {

// 5 s without traffic, then three probes: 14 s until a dead peer is known as dead.
constexpr int kKeepaliveIdleSeconds = 5;
constexpr int kKeepaliveIntervalSeconds = 3;
constexpr int kKeepaliveCount = 3;
// The same for a peer that does not acknowledge what was sent.
constexpr int kTcpUserTimeoutMs = 14000;

// These, and TCP_NODELAY. An option that the kernel refuses is left as it was.
void set_socket_options(int fd);

}  // namespace hooks
