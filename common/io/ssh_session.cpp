#include "common/io/ssh_session.h"

#include <fmt/format.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>

#include "common/core/error.h"
#include "common/io/line_splitter.h"
#include "common/io/signals.h"
#include "common/io/ssh_login.h"

namespace hooks {
namespace {

using Clock = Deadline::Clock;
using std::chrono::milliseconds;

// After the exit status: how long the output may be silent before we say that something else keeps
// it open, and how long it may go on in all. Data that the server still has may follow the status.
constexpr milliseconds kOutputGrace{250};
constexpr milliseconds kLongestOutputGrace{5000};
// For the server to take our SIGTERM and the close of the channel.
constexpr milliseconds kFarewell{100};

// What the callbacks of one channel leave for the loop. They run inside libssh: nothing may be
// thrown through it, and a line sink may throw.
struct Exchange {
    std::string out;
    std::string err;
    int status = -1;
    std::string signal;
    bool has_status = false;
    bool ended_output = false;  // EOF or close
    bool closed = false;
    Clock::time_point last_sign{};

    bool has_result() const { return has_status || !signal.empty(); }
};

int on_data(ssh_session, ssh_channel, void* data, uint32_t length, int is_stderr,
            void* userdata) noexcept {
    auto& exchange = *static_cast<Exchange*>(userdata);
    (is_stderr != 0 ? exchange.err : exchange.out).append(static_cast<const char*>(data), length);
    exchange.last_sign = Clock::now();
    return static_cast<int>(length);
}

void on_eof(ssh_session, ssh_channel, void* userdata) noexcept {
    static_cast<Exchange*>(userdata)->ended_output = true;
}

void on_close(ssh_session, ssh_channel, void* userdata) noexcept {
    auto& exchange = *static_cast<Exchange*>(userdata);
    exchange.ended_output = true;
    exchange.closed = true;
}

void on_exit_status(ssh_session, ssh_channel, int status, void* userdata) noexcept {
    auto& exchange = *static_cast<Exchange*>(userdata);
    exchange.status = status;
    exchange.has_status = true;
    exchange.last_sign = Clock::now();
}

void on_exit_signal(ssh_session, ssh_channel, const char* signal, int, const char*, const char*,
                    void* userdata) noexcept {
    auto& exchange = *static_cast<Exchange*>(userdata);
    exchange.signal = signal != nullptr && *signal != '\0' ? signal : "?";
    exchange.last_sign = Clock::now();
}

// The event loop looks at cancel_fd() only to wake up.
int wake_up(socket_t, int, void*) noexcept {
    return 0;
}

// Callbacks are taken off the channel before the data they write to is gone: libssh keeps a freed
// channel until the server has closed it too.
class Callbacks {
  public:
    Callbacks(ssh_channel channel, Exchange& exchange) : channel_(channel) {
        callbacks_.userdata = &exchange;
        callbacks_.channel_data_function = on_data;
        callbacks_.channel_eof_function = on_eof;
        callbacks_.channel_close_function = on_close;
        callbacks_.channel_exit_status_function = on_exit_status;
        callbacks_.channel_exit_signal_function = on_exit_signal;
        ssh_callbacks_init(&callbacks_);
        ssh_set_channel_callbacks(channel_, &callbacks_);
    }
    ~Callbacks() { ssh_remove_channel_callbacks(channel_, &callbacks_); }
    Callbacks(const Callbacks&) = delete;
    Callbacks& operator=(const Callbacks&) = delete;

  private:
    ssh_channel channel_;
    ssh_channel_callbacks_struct callbacks_{};
};

// The session in an event loop of ours, not blocking, for the data phase of one command.
class EventLoop {
  public:
    explicit EventLoop(ssh_session session) : session_(session), event_(ssh_event_new()) {
        if (!event_ || ssh_event_add_session(event_.get(), session_) != SSH_OK) {
            throw Error(ErrorKind::internal, "libssh gives no event loop");
        }
        if (cancel_fd() >= 0) {
            ssh_event_add_fd(event_.get(), cancel_fd(), POLLIN, wake_up, nullptr);
        }
        ssh_set_blocking(session_, 0);
    }
    ~EventLoop() {
        ssh_set_blocking(session_, 1);
        if (cancel_fd() >= 0) {
            ssh_event_remove_fd(event_.get(), cancel_fd());
        }
        ssh_event_remove_session(event_.get(), session_);
    }
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // False when the connection is lost.
    bool turn(milliseconds longest) {
        const auto timeout = std::clamp<milliseconds>(longest, milliseconds(0), milliseconds(1000));
        return ssh_event_dopoll(event_.get(), static_cast<int>(timeout.count())) != SSH_ERROR &&
               ssh_is_connected(session_) == 1;
    }

  private:
    ssh_session session_;
    EventHandle event_;
};

}  // namespace

struct SshSession::Impl {
    Impl(const SshOptions& options, Deadline deadline) : login(log_in(options, deadline)) {}

    Outcome run(const std::string& command_line, const std::string& input, Deadline deadline,
                const LineSink& on_line);
    bool connected() const;

    ChannelHandle open_channel(Deadline deadline);
    void request(ssh_channel channel, const std::string& command_line, Deadline deadline);
    void converse(EventLoop& loop, ssh_channel channel, Exchange& exchange,
                  const std::string& input, Deadline deadline, const LineSink& on_line);
    bool write_some(ssh_channel channel, std::string_view& rest);
    void end_command(EventLoop& loop, ssh_channel channel);
    Error lost(const std::string& why);

    SshLogin login;
    bool broken = false;
};

bool SshSession::Impl::connected() const {
    if (broken || ssh_is_connected(login.session.get()) != 1) {
        return false;
    }
    // libssh learns of a hang-up only when it reads.
    char byte = 0;
    const ssize_t count = ::recv(login.fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

Error SshSession::Impl::lost(const std::string& why) {
    broken = true;
    return Error(
        ErrorKind::timeout,
        fmt::format("{} while a command ran on {}: how it ended is not known", why, login.where));
}

ChannelHandle SshSession::Impl::open_channel(Deadline deadline) {
    set_budget(login, deadline);
    ChannelHandle channel(ssh_channel_new(login.session.get()));
    if (channel && ssh_channel_open_session(channel.get()) == SSH_OK) {
        return channel;
    }
    if (is_over(deadline)) {
        broken = true;
        throw Error(ErrorKind::timeout,
                    fmt::format("{} did not answer; the command was not started", login.where));
    }
    throw Error(ErrorKind::unreachable, fmt::format("{} takes no command: {}", login.where,
                                                    error_text(login.session.get())));
}

void SshSession::Impl::request(ssh_channel channel, const std::string& command_line,
                               Deadline deadline) {
    set_budget(login, deadline);
    if (ssh_channel_request_exec(channel, command_line.c_str()) == SSH_OK) {
        return;
    }
    if (is_over(deadline)) {
        throw lost("the deadline passed");
    }
    if (ssh_is_connected(login.session.get()) != 1) {
        throw lost("the connection was lost");
    }
    throw Error(ErrorKind::command, fmt::format("{} refuses to run commands: {}", login.where,
                                                error_text(login.session.get())));
}

// As much as the server has room for. False when it takes no more at all, which is no error: a
// program need not read all that it is offered.
bool SshSession::Impl::write_some(ssh_channel channel, std::string_view& rest) {
    constexpr std::size_t kPiece = 32768;
    while (!rest.empty() && (ssh_get_status(login.session.get()) & SSH_WRITE_PENDING) == 0) {
        const std::size_t room = ssh_channel_window_size(channel);
        const auto piece = static_cast<uint32_t>(std::min({room, rest.size(), kPiece}));
        if (piece == 0) {
            break;
        }
        const int written = ssh_channel_write(channel, rest.data(), piece);
        if (written < 0) {
            return false;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
        if (written == 0) {
            break;
        }
    }
    return true;
}

void SshSession::Impl::converse(EventLoop& loop, ssh_channel channel, Exchange& exchange,
                                const std::string& input, Deadline deadline,
                                const LineSink& on_line) {
    LineSplitter out_lines;
    LineSplitter err_lines;
    std::size_t out_seen = 0;
    std::size_t err_seen = 0;
    const auto out_sink = [&](std::string_view line) { on_line(false, line); };
    const auto err_sink = [&](std::string_view line) { on_line(true, line); };
    std::string_view rest = input;
    bool sending = true;
    Clock::time_point result_at{};
    for (;;) {
        if (on_line) {
            out_lines.feed(std::string_view(exchange.out).substr(out_seen), out_sink);
            err_lines.feed(std::string_view(exchange.err).substr(err_seen), err_sink);
            out_seen = exchange.out.size();
            err_seen = exchange.err.size();
        }
        milliseconds longest = deadline.remaining();
        if (exchange.has_result()) {
            const auto now = Clock::now();
            result_at = result_at == Clock::time_point{} ? now : result_at;
            const bool late = deadline.expired() && now - result_at >= kOutputGrace;
            if (exchange.ended_output || now - exchange.last_sign >= kOutputGrace ||
                now - result_at >= kLongestOutputGrace || late) {
                break;
            }
            longest = kOutputGrace;
        } else if (exchange.closed) {
            throw lost("the channel was closed");
        } else {
            throw_if_cancelled();
            if (deadline.expired()) {
                throw Error(ErrorKind::timeout,
                            fmt::format("the deadline passed while a command ran on {}: it was "
                                        "sent SIGTERM, how it ended is not known",
                                        login.where));
            }
        }
        if (sending && !exchange.has_result()) {
            if (!write_some(channel, rest)) {
                sending = false;
            } else if (rest.empty()) {
                ssh_channel_send_eof(channel);
                sending = false;
            }
        }
        // A status without the end of the output could stand for half of the output.
        if (!loop.turn(longest) && !(exchange.has_result() && exchange.ended_output)) {
            throw lost("the connection was lost");
        }
    }
    if (on_line) {
        out_lines.finish(out_sink);
        err_lines.finish(err_sink);
    }
}

// Closing a channel does not end its command. (Some servers refuse the signal: OpenSSH does for
// root.)
void SshSession::Impl::end_command(EventLoop& loop, ssh_channel channel) {
    if (broken) {
        return;
    }
    ssh_channel_request_send_signal(channel, "TERM");
    ssh_channel_close(channel);
    const Deadline farewell = Deadline::after(kFarewell);
    while (!farewell.expired() && ssh_channel_is_closed(channel) == 0) {
        if (!loop.turn(farewell.remaining())) {
            broken = true;
            return;
        }
    }
}

Outcome SshSession::Impl::run(const std::string& command_line, const std::string& input,
                              Deadline deadline, const LineSink& on_line) {
    if (broken) {
        throw Error(ErrorKind::unreachable, "the connection to " + login.where + " is lost");
    }
    Exchange exchange;
    const ChannelHandle channel = open_channel(deadline);
    const Callbacks callbacks(channel.get(), exchange);
    request(channel.get(), command_line, deadline);
    EventLoop loop(login.session.get());
    try {
        converse(loop, channel.get(), exchange, input, deadline, on_line);
    } catch (...) {
        end_command(loop, channel.get());
        throw;
    }
    Outcome outcome;
    outcome.exit_code = exchange.has_status ? exchange.status : -1;
    outcome.signal = std::move(exchange.signal);
    outcome.out = std::move(exchange.out);
    outcome.err = std::move(exchange.err);
    outcome.output_held_open = !exchange.ended_output;
    return outcome;
}

SshSession::SshSession(const SshOptions& options, Deadline deadline)
    : impl_(std::make_unique<Impl>(options, deadline)) {
}
SshSession::~SshSession() = default;
SshSession::SshSession(SshSession&&) noexcept = default;
SshSession& SshSession::operator=(SshSession&&) noexcept = default;

Outcome SshSession::run(const std::string& command_line, const std::string& input,
                        Deadline deadline, const LineSink& on_line) {
    return impl_->run(command_line, input, deadline, on_line);
}

bool SshSession::connected() const {
    return impl_ != nullptr && impl_->connected();
}

}  // namespace hooks
