#include "common/io/tcp_connect.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

int option(int fd, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    EXPECT_EQ(::getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

TEST(TcpConnectTest, NumericAddressesAskNobody) {
    const Deadline none = Deadline::after(milliseconds(0));
    EXPECT_EQ(resolve_host("127.0.0.1", none), std::vector<std::string>{"127.0.0.1"});
    EXPECT_EQ(resolve_host("::1", none), std::vector<std::string>{"::1"});
}

TEST(TcpConnectTest, NamesAreResolved) {
    const auto addresses = resolve_host("localhost", Deadline::after(seconds(10)));
    ASSERT_FALSE(addresses.empty());
    for (const std::string& address : addresses) {
        EXPECT_TRUE(address == "127.0.0.1" || address == "::1") << address;
    }
}

TEST(TcpConnectTest, ANameThatDoesNotResolve) {
    // Refused by the resolver itself: an empty label.
    ASSERT_ERROR(error, ErrorKind::unreachable,
                 resolve_host("no..such.host", Deadline::after(seconds(10))));
    EXPECT_CONTAINS(error->message(), "\"no..such.host\" does not resolve");
    EXPECT_CONTAINS(error->hint(), "getent");
    ASSERT_ERROR(empty, ErrorKind::unreachable, resolve_host("", Deadline::after(seconds(1))));
}

TEST(TcpConnectTest, TheDeadlineHoldsForNameServersToo) {
    // Whatever the name server of this machine does, or not.
    const Stopwatch watch;
    const auto error =
        error_of([] { resolve_host("no-such-host.invalid", Deadline::after(milliseconds(500))); });
    ASSERT_TRUE(error);
    EXPECT_TRUE(error->kind() == ErrorKind::unreachable || error->kind() == ErrorKind::timeout);
    EXPECT_CONTAINS(error->message(), "no-such-host.invalid");
    EXPECT_LT(watch.elapsed(), seconds(3));
}

TEST(TcpConnectTest, ASocketIsBlockingAndWatchful) {
    const Listener listener;
    const UniqueFd fd = tcp_connect("127.0.0.1", listener.port(), Deadline::after(seconds(10)));
    EXPECT_EQ(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_NE(option(fd.get(), IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_NE(option(fd.get(), SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_GT(option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
}

TEST(TcpConnectTest, TheSecondAddressIsTriedToo) {
    // localhost is ::1 as well on most machines, and nothing listens there.
    const Listener listener;
    EXPECT_TRUE(tcp_connect("localhost", listener.port(), Deadline::after(seconds(10))));
}

TEST(TcpConnectTest, ARefusedPort) {
    const int port = free_port();
    ASSERT_ERROR(error, ErrorKind::unreachable,
                 tcp_connect("127.0.0.1", port, Deadline::after(seconds(10))));
    EXPECT_EQ(error->message(),
              "cannot connect to 127.0.0.1 port " + std::to_string(port) + ": connection refused");
}

TEST(TcpConnectTest, AHostThatDoesNotAnswer) {
    // A listener whose queue is full drops what comes, as a firewall does.
    const Listener listener(0);
    std::vector<UniqueFd> queue;
    while (queue.size() < 16) {
        try {
            queue.push_back(
                tcp_connect("127.0.0.1", listener.port(), Deadline::after(milliseconds(200))));
        } catch (const Error&) {
            break;
        }
    }
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 tcp_connect("127.0.0.1", listener.port(), Deadline::after(milliseconds(300))));
    EXPECT_CONTAINS(error->message(), "no answer");
    EXPECT_GE(watch.elapsed(), milliseconds(300));
    EXPECT_LT(watch.elapsed(), seconds(3));
}

TEST(TcpConnectTest, KnowsItsOwnAddresses) {
    const Deadline deadline = Deadline::after(seconds(10));
    for (const char* own : {"127.0.0.1", "127.1.2.3", "::1", "localhost", "/var/run/postgresql"}) {
        EXPECT_TRUE(is_own_address(own, deadline)) << own;
    }
    for (const char* other : {"192.0.2.1", "2001:db8::1"}) {  // for documentation, never in use
        EXPECT_FALSE(is_own_address(other, deadline)) << other;
    }
}

}  // namespace
}  // namespace hooks::contract
