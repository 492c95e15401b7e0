#include "common/io/tcp_connect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "common/core/error.h"
#include "common/io/poll.h"
#include "common/io/socket_options.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;

struct AddressListCloser {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressListCloser>;

// nullptr when `host` is not a numeric address. Asks nobody.
AddressList numeric_address(const std::string& host, const char* port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    return AddressList(::getaddrinfo(host.c_str(), port, &hints, &list) == 0 ? list : nullptr);
}

// What a thread that calls getaddrinfo(3) leaves behind. Shared, because the thread cannot be
// stopped and may outlive the one who asked.
struct Lookup {
    std::string host;
    UniqueFd done;  // an eventfd
    std::atomic<bool> finished{false};
    int result = EAI_FAIL;
    int error_number = 0;
    std::vector<std::string> addresses;
};

void look_up(Lookup& lookup) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    lookup.result = ::getaddrinfo(lookup.host.c_str(), nullptr, &hints, &list);
    lookup.error_number = errno;
    if (lookup.result == 0) {
        const AddressList owner(list);
        for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
            char text[NI_MAXHOST];
            if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                              NI_NUMERICHOST) == 0 &&
                std::find(lookup.addresses.begin(), lookup.addresses.end(), text) ==
                    lookup.addresses.end()) {
                lookup.addresses.emplace_back(text);
            }
        }
    }
    lookup.finished = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(lookup.done.get(), &one, sizeof one);
}

Error does_not_resolve(const Lookup& lookup) {
    const char* why = lookup.result == EAI_SYSTEM ? std::strerror(lookup.error_number)
                                                  : ::gai_strerror(lookup.result);
    return Error(ErrorKind::unreachable,
                 fmt::format("host \"{}\" does not resolve: {}", lookup.host, why),
                 fmt::format("See what \"getent ahosts {}\" says on this machine.", lookup.host));
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

// 0 and a connected socket, or an errno. ETIMEDOUT both when the deadline came and when the kernel
// gave up.
int connect_to(const addrinfo& address, Deadline deadline, UniqueFd& result) {
    UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return errno;
    }
    set_socket_options(fd.get());
    if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
        if (errno != EINPROGRESS) {
            return errno;
        }
        if (wait_for_fd(fd.get(), POLLOUT, deadline) == 0) {
            return ETIMEDOUT;
        }
        int error = 0;
        socklen_t length = sizeof error;
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
            return errno;
        }
        if (error != 0) {
            return error;
        }
    }
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
    result = std::move(fd);
    return 0;
}

struct InterfacesCloser {
    void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

bool is_own(const sockaddr& address, const ifaddrs* interfaces) {
    const auto same_ipv4 = [](const in_addr& a, const in_addr& b) { return a.s_addr == b.s_addr; };
    if (address.sa_family == AF_INET) {
        const in_addr wanted = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
        if ((ntohl(wanted.s_addr) >> 24) == 127 || wanted.s_addr == htonl(INADDR_ANY)) {
            return true;
        }
        for (const ifaddrs* entry = interfaces; entry != nullptr; entry = entry->ifa_next) {
            if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                same_ipv4(reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr,
                          wanted)) {
                return true;
            }
        }
    } else if (address.sa_family == AF_INET6) {
        const in6_addr& wanted = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
        if (IN6_IS_ADDR_LOOPBACK(&wanted) || IN6_IS_ADDR_UNSPECIFIED(&wanted)) {
            return true;
        }
        for (const ifaddrs* entry = interfaces; entry != nullptr; entry = entry->ifa_next) {
            if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET6 &&
                IN6_ARE_ADDR_EQUAL(
                    &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, &wanted)) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace

std::vector<std::string> resolve_host(const std::string& host, Deadline deadline) {
    if (host.empty()) {
        throw Error(ErrorKind::unreachable, "no host name given");
    }
    if (numeric_address(host, nullptr)) {
        return {host};
    }
    const auto lookup = std::make_shared<Lookup>();
    lookup->host = host;
    lookup->done.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!lookup->done) {
        throw Error(ErrorKind::internal, std::string("eventfd: ") + std::strerror(errno));
    }
    // Signals belong to the threads that know what to do with them.
    sigset_t all;
    sigset_t saved;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &saved);
    std::thread([lookup] { look_up(*lookup); }).detach();
    ::pthread_sigmask(SIG_SETMASK, &saved, nullptr);

    while (!lookup->finished) {
        if (wait_for_fd(lookup->done.get(), POLLIN, deadline) == 0) {
            throw Error(
                ErrorKind::timeout,
                fmt::format("no answer in time to the question for the address of \"{}\"", host),
                "Use an IP address, or an entry in /etc/hosts: then a failover does not "
                "depend on a name server.");
        }
    }
    if (lookup->addresses.empty()) {
        throw does_not_resolve(*lookup);
    }
    return lookup->addresses;
}

void set_socket_options(int fd) {
    const auto set = [fd](int level, int option, int value) {
        ::setsockopt(fd, level, option, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
    set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
    set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveCount);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kTcpUserTimeoutMs);
}

UniqueFd tcp_connect(const std::string& host, int port, Deadline deadline) {
    const std::vector<std::string> addresses = resolve_host(host, deadline);
    const std::string port_text = std::to_string(port);
    const std::string where = fmt::format("{} port {}", host, port);
    std::string failures;
    bool only_timeouts = true;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const AddressList address = numeric_address(addresses[i], port_text.c_str());
        if (!address) {
            throw Error(ErrorKind::internal, "not an address with a port: " + where);
        }
        const auto share = deadline.remaining() / static_cast<int>(addresses.size() - i);
        UniqueFd fd;
        const int error = connect_to(*address, deadline.within(share), fd);
        if (error == 0) {
            return fd;
        }
        only_timeouts = only_timeouts && error == ETIMEDOUT;
        const std::string why = error == ETIMEDOUT ? "no answer" : lower(std::strerror(error));
        failures += failures.empty() ? "" : ", ";
        failures += addresses[i] == host ? why : addresses[i] + ": " + why;
    }
    throw Error(only_timeouts && deadline.expired() ? ErrorKind::timeout : ErrorKind::unreachable,
                fmt::format("cannot connect to {}: {}", where, failures),
                "Is that host up, does something listen on that port, and does no firewall stand "
                "in between?");
}

bool is_own_address(const std::string& host, Deadline deadline) {
    if (!host.empty() && host[0] == '/') {
        return true;
    }
    const std::vector<std::string> addresses = resolve_host(host, deadline);
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) {
        throw Error(ErrorKind::internal, std::string("getifaddrs: ") + std::strerror(errno));
    }
    const std::unique_ptr<ifaddrs, InterfacesCloser> interfaces(list);
    // All of them: a name that stands for this machine and for another one is not this machine's.
    return std::all_of(addresses.begin(), addresses.end(), [&](const std::string& text) {
        const AddressList address = numeric_address(text, nullptr);
        return address && is_own(*address->ai_addr, interfaces.get());
    });
}

}  // namespace hooks
