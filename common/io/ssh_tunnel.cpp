#include "common/io/ssh_tunnel.h"

#include <fmt/format.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "common/core/error.h"
#include "common/io/ssh_login.h"

namespace hooks {
namespace {

constexpr std::size_t kPiece = 32768;

// What came through the session and is not handed on yet.
struct Arrived {
    std::string data;
    bool ended = false;
};

int on_data(ssh_session, ssh_channel, void* data, uint32_t length, int, void* userdata) noexcept {
    static_cast<Arrived*>(userdata)->data.append(static_cast<const char*>(data), length);
    return static_cast<int>(length);
}

void on_end(ssh_session, ssh_channel, void* userdata) noexcept {
    static_cast<Arrived*>(userdata)->ended = true;
}

int wake_up(socket_t, int, void*) noexcept {
    return 0;
}

}  // namespace

struct SshTunnel::Impl {
    Impl(const SshOptions& via, Deadline deadline) : login(log_in(via, deadline)) {}
    ~Impl();

    void open(const std::string& host, int port, Deadline deadline);
    void pump();
    bool receive_here();  // false at the end
    bool send_there();
    bool send_here();

    SshLogin login;
    ChannelHandle channel;
    ssh_channel_callbacks_struct callbacks{};
    Arrived arrived;
    std::string leaving;
    UniqueFd ours;    // of the pair; the thread's
    UniqueFd theirs;  // until it is taken
    UniqueFd stop;    // an eventfd
    std::thread thread;
};

SshTunnel::Impl::~Impl() {
    if (thread.joinable()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(stop.get(), &one, sizeof one);
        thread.join();
    }
    if (channel) {
        ssh_remove_channel_callbacks(channel.get(), &callbacks);
    }
}

void SshTunnel::Impl::open(const std::string& host, int port, Deadline deadline) {
    channel.reset(ssh_channel_new(login.session.get()));
    if (!channel) {
        throw Error(ErrorKind::internal, "libssh gives no channel");
    }
    // Before it opens: a server that speaks first may do so in the same packet.
    callbacks.userdata = &arrived;
    callbacks.channel_data_function = on_data;
    callbacks.channel_eof_function = on_end;
    callbacks.channel_close_function = on_end;
    ssh_callbacks_init(&callbacks);
    ssh_set_channel_callbacks(channel.get(), &callbacks);
    set_budget(login, deadline);
    if (ssh_channel_open_forward(channel.get(), host.c_str(), port, "127.0.0.1", 0) != SSH_OK) {
        throw Error(
            is_over(deadline) ? ErrorKind::timeout : ErrorKind::unreachable,
            fmt::format("{} does not connect to {} port {}: {}", login.where, host, port,
                        is_over(deadline) ? "no answer in time" : error_text(login.session.get())),
            "Is AllowTcpForwarding on there, and can that machine reach the other?");
    }
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
        throw Error(ErrorKind::internal, std::string("socketpair: ") + std::strerror(errno));
    }
    ours.reset(pair[0]);
    theirs.reset(pair[1]);
    stop.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) {
        throw Error(ErrorKind::internal, std::string("eventfd: ") + std::strerror(errno));
    }
    thread = std::thread([this] { pump(); });
}

bool SshTunnel::Impl::receive_here() {
    std::array<char, kPiece> piece;
    while (leaving.size() < kPiece) {
        const ssize_t count = ::recv(ours.get(), piece.data(), piece.size(), MSG_DONTWAIT);
        if (count <= 0) {
            return count < 0 && (errno == EAGAIN || errno == EINTR);
        }
        leaving.append(piece.data(), static_cast<std::size_t>(count));
    }
    return true;
}

bool SshTunnel::Impl::send_there() {
    while (!leaving.empty() && (ssh_get_status(login.session.get()) & SSH_WRITE_PENDING) == 0) {
        const std::size_t room = ssh_channel_window_size(channel.get());
        const auto piece = static_cast<uint32_t>(std::min({room, leaving.size(), kPiece}));
        const int written =
            piece == 0 ? 0 : ssh_channel_write(channel.get(), leaving.data(), piece);
        if (written < 0) {
            return false;
        }
        if (written == 0) {
            break;
        }
        leaving.erase(0, static_cast<std::size_t>(written));
    }
    return true;
}

bool SshTunnel::Impl::send_here() {
    while (!arrived.data.empty()) {
        const ssize_t count = ::send(ours.get(), arrived.data.data(), arrived.data.size(),
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        arrived.data.erase(0, static_cast<std::size_t>(count));
    }
    return true;
}

void SshTunnel::Impl::pump() {
    const EventHandle event(ssh_event_new());
    ssh_session session = login.session.get();
    if (event && ssh_event_add_session(event.get(), session) == SSH_OK) {
        ssh_event_add_fd(event.get(), ours.get(), POLLIN, wake_up, nullptr);
        ssh_event_add_fd(event.get(), stop.get(), POLLIN, wake_up, nullptr);
        ssh_set_blocking(session, 0);
        for (;;) {
            const bool open_here = receive_here();
            if (!send_there() || !send_here() || (!open_here && leaving.empty()) ||
                (arrived.ended && arrived.data.empty())) {
                break;
            }
            pollfd asked{stop.get(), POLLIN, 0};
            if (::poll(&asked, 1, 0) > 0) {
                break;
            }
            // What waits for room is tried again soon: neither side tells when it has some.
            const bool waits = !leaving.empty() || !arrived.data.empty();
            if (waits) {
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
            }
            if (ssh_event_dopoll(event.get(), waits ? 2 : 1000) == SSH_ERROR ||
                ssh_is_connected(session) != 1) {
                send_here();
                break;
            }
        }
        ssh_event_remove_fd(event.get(), stop.get());
        ssh_event_remove_fd(event.get(), ours.get());
        ssh_event_remove_session(event.get(), session);
    }
    ours.reset();  // the end, for who reads on the other side
}

SshTunnel::SshTunnel(const SshOptions& via, const std::string& host, int port, Deadline deadline)
    : impl_(std::make_unique<Impl>(via, deadline)) {
    impl_->open(host, port, deadline);
}

SshTunnel::~SshTunnel() = default;

UniqueFd SshTunnel::take_socket() {
    return std::move(impl_->theirs);
}

const std::string& SshTunnel::via() const {
    return impl_->login.where;
}

}  // namespace hooks
