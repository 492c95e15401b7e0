#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "common/io/unique_fd.h"
#include "tests/support/place.h"

namespace hooks::harness {
namespace {

// A socket in the abstract namespace goes with its process, however that ends; a lock file would
// be left behind. Network namespaces have names of their own, as they have ports.
UniqueFd reserve(int port) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "pgpool-hooks port " + std::to_string(port);
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        return UniqueFd();
    }
    return fd;
}

bool can_listen(const std::string& address, int port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &where.sin_addr);
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // As the servers do it: connections of an earlier server that are timing out do not matter.
    const int yes = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 &&
           ::listen(fd.get(), 1) == 0;
}

}  // namespace

int free_port(const std::vector<std::string>& addresses, int first) {
    static std::vector<UniqueFd> reserved;
    for (int port = first; port < first + 1000; ++port) {
        UniqueFd reservation = reserve(port);
        if (reservation &&
            std::all_of(addresses.begin(), addresses.end(),
                        [port](const std::string& address) { return can_listen(address, port); })) {
            reserved.push_back(std::move(reservation));
            return port;
        }
    }
    throw HarnessError("no free port from " + std::to_string(first) + " on");
}

}  // namespace hooks::harness
