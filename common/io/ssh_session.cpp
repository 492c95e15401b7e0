#include "common/io/ssh_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/core/error.h"
#include "common/core/shell_quote.h"
#include "common/io/line_splitter.h"
#include "common/io/poll.h"
#include "common/io/signals.h"
#include "common/io/tcp_connect.h"
#include "common/io/user.h"

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
// libssh may give up a moment before the deadline that it was given.
constexpr milliseconds kTimerSlack{10};

struct SessionCloser {
    void operator()(ssh_session session) const {
        ssh_disconnect(session);
        ssh_free(session);
    }
};
struct ChannelCloser {
    void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
};
struct KeyCloser {
    void operator()(ssh_key key) const { ssh_key_free(key); }
};
struct EventCloser {
    void operator()(ssh_event event) const { ssh_event_free(event); }
};
using SessionHandle = std::unique_ptr<std::remove_pointer_t<ssh_session>, SessionCloser>;
using ChannelHandle = std::unique_ptr<std::remove_pointer_t<ssh_channel>, ChannelCloser>;
using KeyHandle = std::unique_ptr<std::remove_pointer_t<ssh_key>, KeyCloser>;
using EventHandle = std::unique_ptr<std::remove_pointer_t<ssh_event>, EventCloser>;

bool is_over(Deadline deadline) {
    return deadline.remaining() <= kTimerSlack;
}

std::string error_text(ssh_session session) {
    const char* text = ssh_get_error(session);
    return text != nullptr && *text != '\0' ? text : "no reason given";
}

// These go to libssh, which up to some versions hands them to a shell (CVE-2023-6004,
// CVE-2026-59846), and into hints that people copy.
void check_name(const char* what, const std::string& name, std::string_view also_legal) {
    const bool legal = !name.empty() && name[0] != '-' &&
                       std::all_of(name.begin(), name.end(), [also_legal](char c) {
                           return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                  also_legal.find(c) != std::string_view::npos;
                       });
    if (!legal) {
        throw Error(ErrorKind::config, fmt::format("not a legal {}: \"{}\"", what, name));
    }
}

// OpenSSH's name of a host in known_hosts.
std::string known_hosts_name(const SshOptions& options) {
    return options.port == 22 ? options.host : fmt::format("[{}]:{}", options.host, options.port);
}

// Without a callback, OpenSSL itself would ask on the terminal. Saying no and taking a note is all
// that a hook can do.
int refuse_passphrase(const char*, char*, size_t, int, int, void* userdata) noexcept {
    *static_cast<bool*>(userdata) = true;
    return -1;
}

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
    Impl(const SshOptions& given, Deadline deadline);

    Outcome run(const std::string& command_line, const std::string& input, Deadline deadline,
                const LineSink& on_line);
    bool connected() const;

    void set_options();
    void set(ssh_options_e option, const void* value, const char* what);
    void set_budget(Deadline deadline);
    void handshake(Deadline deadline);
    void check_host_key();
    void authenticate(Deadline deadline);
    bool offer_key(const std::string& file, Deadline deadline);
    bool offer_agent(Deadline deadline);
    [[noreturn]] void nobody_let_us_in();

    ChannelHandle open_channel(Deadline deadline);
    void request(ssh_channel channel, const std::string& command_line, Deadline deadline);
    void converse(EventLoop& loop, ssh_channel channel, Exchange& exchange,
                  const std::string& input, Deadline deadline, const LineSink& on_line);
    bool write_some(ssh_channel channel, std::string_view& rest);
    void end_command(EventLoop& loop, ssh_channel channel);
    Error lost(const std::string& why);

    SshOptions options;
    std::string known_hosts;
    std::string where;  // "postgres@10.0.0.2 port 22"
    // What became of each key, for the message when none was accepted.
    std::vector<std::string> offers;
    std::string encrypted_key;
    std::string refused_key;
    bool broken = false;

    // libssh leaves a socket that it was given open: ours to close, after the session.
    UniqueFd fd;
    SessionHandle session;
};

SshSession::Impl::Impl(const SshOptions& given, Deadline deadline) : options(given) {
    check_name("ssh_user", options.user, "._-+@$");
    check_name("host name", options.host, ".-_:%");
    where = fmt::format("{}@{} port {}", options.user, options.host, options.port);
    known_hosts = options.known_hosts_file.empty() ? home_directory() + "/.ssh/known_hosts"
                                                   : expand_home(options.known_hosts_file);
    fd = tcp_connect(options.host, options.port, deadline);
    // libssh writes as far as poll(2) says, and would then block on a peer that stands still.
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    // A server speaks first. Waiting for that here can be cancelled; ssh_connect() cannot.
    if (wait_for_fd(fd.get(), POLLIN, deadline) == 0) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{} accepted the connection and then said nothing", where),
                    "The SSH server there hangs, or the port belongs to something else.");
    }
    session.reset(ssh_new());
    if (!session) {
        throw Error(ErrorKind::internal, "libssh gives no session");
    }
    set_options();
    handshake(deadline);
    check_host_key();
    authenticate(deadline);
}

void SshSession::Impl::set(ssh_options_e option, const void* value, const char* what) {
    if (ssh_options_set(session.get(), option, value) != SSH_OK) {
        throw Error(ErrorKind::config, fmt::format("libssh refuses {} for {}: {}", what, where,
                                                   error_text(session.get())));
    }
}

void SshSession::Impl::set_options() {
    const int off = 0;
    const int on = 1;
    // First: ~/.ssh/config could otherwise overwrite what is set below, and run commands.
    set(SSH_OPTIONS_PROCESS_CONFIG, &off, "PROCESS_CONFIG");
    set(SSH_OPTIONS_HOST, options.host.c_str(), "the host");
    set(SSH_OPTIONS_PORT, &options.port, "the port");
    set(SSH_OPTIONS_USER, options.user.c_str(), "the user");
    const socket_t socket = fd.get();
    set(SSH_OPTIONS_FD, &socket, "the socket");
    set(SSH_OPTIONS_NODELAY, &on, "NODELAY");
    set(SSH_OPTIONS_KNOWNHOSTS, known_hosts.c_str(), "known_hosts");
    // A file that was named is the only one.
    set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS,
        options.known_hosts_file.empty() ? "/etc/ssh/ssh_known_hosts" : known_hosts.c_str(),
        "the global known_hosts");
}

// The timeout of libssh is one for each call, and 0 means none (or 10 s).
void SshSession::Impl::set_budget(Deadline deadline) {
    throw_if_cancelled();
    const auto left = std::max(deadline.remaining(), milliseconds(1));
    const long seconds = static_cast<long>(left.count() / 1000);
    const long microseconds = static_cast<long>(left.count() % 1000) * 1000;
    set(SSH_OPTIONS_TIMEOUT, &seconds, "the timeout");
    set(SSH_OPTIONS_TIMEOUT_USEC, &microseconds, "the timeout");
}

void SshSession::Impl::handshake(Deadline deadline) {
    set_budget(deadline);
    if (ssh_connect(session.get()) == SSH_OK) {
        return;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout, fmt::format("{} did not finish the SSH handshake", where));
    }
    throw Error(ErrorKind::unreachable,
                fmt::format("no SSH handshake with {}: {}", where, error_text(session.get())),
                "Is this the port of an SSH server? Is this address let in there (MaxStartups)?");
}

void SshSession::Impl::check_host_key() {
    const auto state = ssh_session_is_known_server(session.get());
    if (state == SSH_KNOWN_HOSTS_OK) {
        return;
    }
    std::string offered = "a key that cannot be read";
    ssh_key raw_key = nullptr;
    if (ssh_get_server_publickey(session.get(), &raw_key) == SSH_OK) {
        const KeyHandle key(raw_key);
        unsigned char* hash = nullptr;
        size_t length = 0;
        if (ssh_get_publickey_hash(key.get(), SSH_PUBLICKEY_HASH_SHA256, &hash, &length) ==
            SSH_OK) {
            char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length);
            offered = fmt::format("{} {}", ssh_key_type_to_char(ssh_key_type(key.get())),
                                  text != nullptr ? text : "");
            ssh_string_free_char(text);
            ssh_clean_pubkey_hash(&hash);
        }
    }
    const std::string file = shell_quote(known_hosts);
    const std::string scan =
        fmt::format("ssh-keyscan -p {} {} >> {}", options.port, options.host, file);
    switch (state) {
        case SSH_KNOWN_HOSTS_CHANGED:
        case SSH_KNOWN_HOSTS_OTHER:
            throw Error(
                ErrorKind::unreachable,
                fmt::format("the host key of {} is not the one in {}: it now offers {}", where,
                            known_hosts, offered),
                fmt::format("If that machine was installed anew: ssh-keygen -R {} -f {} && {}. If "
                            "not, somebody may be in between.",
                            shell_quote(known_hosts_name(options)), file, scan));
        case SSH_KNOWN_HOSTS_ERROR:
            throw Error(ErrorKind::unreachable,
                        fmt::format("the host key of {} cannot be checked: {}", where,
                                    error_text(session.get())));
        default:
            throw Error(
                ErrorKind::unreachable,
                fmt::format("the host key of {} is not in {}: it offers {}", where, known_hosts,
                            offered),
                fmt::format("Type {}, and compare the key with the one on that machine.", scan));
    }
}

// True when the server accepted it.
bool SshSession::Impl::offer_key(const std::string& file, Deadline deadline) {
    bool asked_for_passphrase = false;
    ssh_key raw_key = nullptr;
    // Not ssh_userauth_publickey_auto(): it writes a FILE.pub, and one unreadable key ends it.
    const int imported = ssh_pki_import_privkey_file(file.c_str(), nullptr, refuse_passphrase,
                                                     &asked_for_passphrase, &raw_key);
    const KeyHandle key(raw_key);
    if (imported != SSH_OK) {
        if (asked_for_passphrase) {
            encrypted_key = file;
            offers.push_back(file + " has a passphrase");
        } else if (::access(file.c_str(), R_OK) != 0) {
            offers.push_back(fmt::format("{}: {}", file, std::strerror(errno)));
        } else {
            offers.push_back(file + " is not a private key that libssh can read");
        }
        return false;
    }
    set_budget(deadline);
    const int result = ssh_userauth_publickey(session.get(), nullptr, key.get());
    if (result == SSH_AUTH_SUCCESS) {
        return true;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout, fmt::format("{} did not answer to our key", where));
    }
    if (ssh_is_connected(session.get()) != 1) {
        throw Error(ErrorKind::unreachable, fmt::format("{} hung up during authentication: {}",
                                                        where, error_text(session.get())));
    }
    refused_key = file;
    offers.push_back(file + (result == SSH_AUTH_PARTIAL
                                 ? " is accepted, but the server wants something else too"
                                 : " is refused"));
    return false;
}

bool SshSession::Impl::offer_agent(Deadline deadline) {
    const char* agent = std::getenv("SSH_AUTH_SOCK");
    if (agent == nullptr || *agent == '\0') {
        return false;
    }
    set_budget(deadline);
    const int result = ssh_userauth_agent(session.get(), nullptr);
    if (result == SSH_AUTH_SUCCESS) {
        return true;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{} did not answer to the agent's keys", where));
    }
    offers.push_back("the agent has no key that is accepted");
    return false;
}

void SshSession::Impl::authenticate(Deadline deadline) {
    std::vector<std::string> files;
    if (!options.identity_file.empty()) {
        files.push_back(expand_home(options.identity_file));
    } else {
        for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
            const std::string file = home_directory() + "/.ssh/" + name;
            if (::access(file.c_str(), F_OK) == 0) {
                files.push_back(file);
            }
        }
    }
    for (const std::string& file : files) {
        if (offer_key(file, deadline)) {
            return;
        }
    }
    if (!offer_agent(deadline)) {
        nobody_let_us_in();
    }
}

void SshSession::Impl::nobody_let_us_in() {
    const std::string target = fmt::format("-p {} {}@{}", options.port, options.user, options.host);
    if (offers.empty()) {
        const std::string file = shell_quote(home_directory() + "/.ssh/id_ed25519");
        throw Error(ErrorKind::unreachable, fmt::format("no key to log in to {}", where),
                    fmt::format("Type ssh-keygen -t ed25519 -N '' -f {} && ssh-copy-id -i {}.pub "
                                "{}, or set ssh_identity_file.",
                                file, file, target));
    }
    std::string tried;
    for (const std::string& offer : offers) {
        tried += (tried.empty() ? "" : ", ") + offer;
    }
    std::string hint;
    if (!refused_key.empty()) {
        hint = fmt::format("Type ssh-copy-id -i {} {}, or look into the log of sshd there.",
                           shell_quote(refused_key), target);
    } else if (!encrypted_key.empty()) {
        hint = fmt::format(
            "Nobody is there to type it: use a key without one (ssh-keygen -p -N '' -f {} takes it "
            "off) or an agent.",
            shell_quote(encrypted_key));
    }
    throw Error(ErrorKind::unreachable, fmt::format("cannot log in to {}: {}", where, tried), hint);
}

bool SshSession::Impl::connected() const {
    if (broken || ssh_is_connected(session.get()) != 1) {
        return false;
    }
    // libssh learns of a hang-up only when it reads.
    char byte = 0;
    const ssize_t count = ::recv(fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

Error SshSession::Impl::lost(const std::string& why) {
    broken = true;
    return Error(
        ErrorKind::timeout,
        fmt::format("{} while a command ran on {}: how it ended is not known", why, where));
}

ChannelHandle SshSession::Impl::open_channel(Deadline deadline) {
    set_budget(deadline);
    ChannelHandle channel(ssh_channel_new(session.get()));
    if (channel && ssh_channel_open_session(channel.get()) == SSH_OK) {
        return channel;
    }
    if (is_over(deadline)) {
        broken = true;
        throw Error(ErrorKind::timeout,
                    fmt::format("{} did not answer; the command was not started", where));
    }
    throw Error(ErrorKind::unreachable,
                fmt::format("{} takes no command: {}", where, error_text(session.get())));
}

void SshSession::Impl::request(ssh_channel channel, const std::string& command_line,
                               Deadline deadline) {
    set_budget(deadline);
    if (ssh_channel_request_exec(channel, command_line.c_str()) == SSH_OK) {
        return;
    }
    if (is_over(deadline)) {
        throw lost("the deadline passed");
    }
    if (ssh_is_connected(session.get()) != 1) {
        throw lost("the connection was lost");
    }
    throw Error(ErrorKind::command,
                fmt::format("{} refuses to run commands: {}", where, error_text(session.get())));
}

// As much as the server has room for. False when it takes no more at all, which is no error: a
// program need not read all that it is offered.
bool SshSession::Impl::write_some(ssh_channel channel, std::string_view& rest) {
    constexpr std::size_t kPiece = 32768;
    while (!rest.empty() && (ssh_get_status(session.get()) & SSH_WRITE_PENDING) == 0) {
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
            if (exchange.ended_output || now - exchange.last_sign >= kOutputGrace ||
                now - result_at >= kLongestOutputGrace) {
                break;
            }
            longest = std::min(longest, kOutputGrace);
        } else if (exchange.closed) {
            throw lost("the channel was closed");
        }
        throw_if_cancelled();
        if (deadline.expired()) {
            throw Error(ErrorKind::timeout,
                        fmt::format("the deadline passed while a command ran on {}: it was sent "
                                    "SIGTERM, how it ended is not known",
                                    where));
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
        throw Error(ErrorKind::unreachable, "the connection to " + where + " is lost");
    }
    Exchange exchange;
    const ChannelHandle channel = open_channel(deadline);
    const Callbacks callbacks(channel.get(), exchange);
    request(channel.get(), command_line, deadline);
    EventLoop loop(session.get());
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
