#include "common/io/ssh_login.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/core/error.h"
#include "common/core/shell_quote.h"
#include "common/io/poll.h"
#include "common/io/signals.h"
#include "common/io/ssh_tunnel.h"
#include "common/io/tcp_connect.h"
#include "common/io/user.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimerSlack{10};

struct KeyCloser {
    void operator()(ssh_key key) const { ssh_key_free(key); }
};
using KeyHandle = std::unique_ptr<std::remove_pointer_t<ssh_key>, KeyCloser>;

// These go to libssh, which up to some versions hands them to a shell (CVE-2023-6004,
// CVE-2026-59846), and into hints that people copy.
void check_name(const char* what, const std::string& name, std::string_view also_legal,
                const char* hint) {
    const bool legal = !name.empty() && name[0] != '-' &&
                       std::all_of(name.begin(), name.end(), [also_legal](char c) {
                           return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                  also_legal.find(c) != std::string_view::npos;
                       });
    if (!legal) {
        throw Error(ErrorKind::config, fmt::format("not a legal {}: \"{}\"", what, name), hint);
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

void set_option(const SshLogin& login, ssh_options_e option, const void* value, const char* what) {
    if (ssh_options_set(login.session.get(), option, value) != SSH_OK) {
        throw Error(ErrorKind::config, fmt::format("libssh refuses {} for {}: {}", what,
                                                   login.where, error_text(login.session.get())));
    }
}

// One attempt, step by step.
class Login {
  public:
    explicit Login(const SshOptions& given);
    SshLogin run(Deadline deadline);

  private:
    void connect(Deadline deadline);
    void set_options();
    void handshake(Deadline deadline);
    void check_host_key();
    void authenticate(Deadline deadline);
    bool offer_key(const std::string& file, Deadline deadline);
    bool offer_agent(Deadline deadline);
    [[noreturn]] void nobody_let_us_in();

    SshOptions options_;
    std::string known_hosts_;
    SshLogin login_;
    // What became of each key, for the message when none was accepted.
    std::vector<std::string> offers_;
    std::string encrypted_key_;
    std::string refused_key_;
};

Login::Login(const SshOptions& given) : options_(given) {
    check_name("ssh_user", options_.user, "._-+@$", "Correct ssh_user in hooks.conf.");
    check_name("host name", options_.host, ".-_:%",
               "Correct ssh_host in hooks.conf, or backend_hostname in pgpool.conf.");
    login_.where = fmt::format("{}@{} port {}", options_.user, options_.host, options_.port);
    known_hosts_ = options_.known_hosts_file.empty() ? home_directory() + "/.ssh/known_hosts"
                                                     : expand_home(options_.known_hosts_file);
}

SshLogin Login::run(Deadline deadline) {
    connect(deadline);
    set_options();
    handshake(deadline);
    check_host_key();
    authenticate(deadline);
    return std::move(login_);
}

void Login::connect(Deadline deadline) {
    if (options_.via) {
        login_.tunnel =
            std::make_shared<SshTunnel>(*options_.via, options_.host, options_.port, deadline);
        login_.fd = login_.tunnel->take_socket();
        login_.where += " through " + login_.tunnel->via();
    } else {
        login_.fd = tcp_connect(options_.host, options_.port, deadline);
    }
    // libssh writes as far as poll(2) says, and would then block on a peer that stands still.
    ::fcntl(login_.fd.get(), F_SETFL, ::fcntl(login_.fd.get(), F_GETFL) | O_NONBLOCK);
    // A server speaks first. Waiting for that here can be cancelled; ssh_connect() cannot.
    if (wait_for_fd(login_.fd.get(), POLLIN, deadline) == 0) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{} accepted the connection and then said nothing", login_.where),
                    "The SSH server there hangs, or the port belongs to something else.");
    }
    login_.session.reset(ssh_new());
    if (!login_.session) {
        throw Error(ErrorKind::internal, "libssh gives no session");
    }
}

void Login::set_options() {
    const int off = 0;
    const int on = 1;
    // First: ~/.ssh/config could otherwise overwrite what is set below, and run commands.
    set_option(login_, SSH_OPTIONS_PROCESS_CONFIG, &off, "PROCESS_CONFIG");
    set_option(login_, SSH_OPTIONS_HOST, options_.host.c_str(), "the host");
    set_option(login_, SSH_OPTIONS_PORT, &options_.port, "the port");
    set_option(login_, SSH_OPTIONS_USER, options_.user.c_str(), "the user");
    const socket_t socket = login_.fd.get();
    set_option(login_, SSH_OPTIONS_FD, &socket, "the socket");
    set_option(login_, SSH_OPTIONS_NODELAY, &on, "NODELAY");
    set_option(login_, SSH_OPTIONS_KNOWNHOSTS, known_hosts_.c_str(), "known_hosts");
    // A file that was named is the only one.
    set_option(
        login_, SSH_OPTIONS_GLOBAL_KNOWNHOSTS,
        options_.known_hosts_file.empty() ? "/etc/ssh/ssh_known_hosts" : known_hosts_.c_str(),
        "the global known_hosts");
}

void Login::handshake(Deadline deadline) {
    set_budget(login_, deadline);
    if (ssh_connect(login_.session.get()) == SSH_OK) {
        return;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{} did not finish the SSH handshake", login_.where));
    }
    throw Error(
        ErrorKind::unreachable,
        fmt::format("no SSH handshake with {}: {}", login_.where, error_text(login_.session.get())),
        "Is this the port of an SSH server? Is this address let in there (MaxStartups)?");
}

void Login::check_host_key() {
    const auto state = ssh_session_is_known_server(login_.session.get());
    if (state == SSH_KNOWN_HOSTS_OK) {
        return;
    }
    std::string offered = "a key that cannot be read";
    ssh_key raw_key = nullptr;
    if (ssh_get_server_publickey(login_.session.get(), &raw_key) == SSH_OK) {
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
    const std::string file = shell_quote(known_hosts_);
    const std::string scan =
        fmt::format("ssh-keyscan -p {} {} >> {}", options_.port, options_.host, file);
    switch (state) {
        case SSH_KNOWN_HOSTS_CHANGED:
        case SSH_KNOWN_HOSTS_OTHER:
            throw Error(
                ErrorKind::unreachable,
                fmt::format("the host key of {} is not the one in {}: it now offers {}",
                            login_.where, known_hosts_, offered),
                fmt::format("If that machine was installed anew: ssh-keygen -R {} -f {} && {}. If "
                            "not, somebody may be in between.",
                            shell_quote(known_hosts_name(options_)), file, scan));
        case SSH_KNOWN_HOSTS_ERROR:
            throw Error(ErrorKind::unreachable,
                        fmt::format("the host key of {} cannot be checked: {}", login_.where,
                                    error_text(login_.session.get())));
        default:
            throw Error(
                ErrorKind::unreachable,
                fmt::format("the host key of {} is not in {}: it offers {}", login_.where,
                            known_hosts_, offered),
                fmt::format("Type {}, and compare the key with the one on that machine.", scan));
    }
}

// True when the server accepted it.
bool Login::offer_key(const std::string& file, Deadline deadline) {
    bool asked_for_passphrase = false;
    ssh_key raw_key = nullptr;
    // Not ssh_userauth_publickey_auto(): it writes a FILE.pub, and one unreadable key ends it.
    const int imported = ssh_pki_import_privkey_file(file.c_str(), nullptr, refuse_passphrase,
                                                     &asked_for_passphrase, &raw_key);
    const KeyHandle key(raw_key);
    if (imported != SSH_OK) {
        if (asked_for_passphrase) {
            encrypted_key_ = file;
            offers_.push_back(file + " has a passphrase");
        } else if (::access(file.c_str(), R_OK) != 0) {
            offers_.push_back(fmt::format("{}: {}", file, std::strerror(errno)));
        } else {
            offers_.push_back(file + " is not a private key that libssh can read");
        }
        return false;
    }
    set_budget(login_, deadline);
    const int result = ssh_userauth_publickey(login_.session.get(), nullptr, key.get());
    if (result == SSH_AUTH_SUCCESS) {
        return true;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout, fmt::format("{} did not answer to our key", login_.where));
    }
    if (ssh_is_connected(login_.session.get()) != 1) {
        throw Error(ErrorKind::unreachable,
                    fmt::format("{} hung up during authentication: {}", login_.where,
                                error_text(login_.session.get())));
    }
    refused_key_ = file;
    offers_.push_back(file + (result == SSH_AUTH_PARTIAL
                                  ? " is accepted, but the server wants something else too"
                                  : " is refused"));
    return false;
}

bool Login::offer_agent(Deadline deadline) {
    const char* agent = std::getenv("SSH_AUTH_SOCK");
    if (agent == nullptr || *agent == '\0') {
        return false;
    }
    set_budget(login_, deadline);
    const int result = ssh_userauth_agent(login_.session.get(), nullptr);
    if (result == SSH_AUTH_SUCCESS) {
        return true;
    }
    if (is_over(deadline)) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{} did not answer to the agent's keys", login_.where));
    }
    offers_.push_back("the agent has no key that is accepted");
    return false;
}

void Login::authenticate(Deadline deadline) {
    std::vector<std::string> files;
    if (!options_.identity_file.empty()) {
        files.push_back(expand_home(options_.identity_file));
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

void Login::nobody_let_us_in() {
    const std::string target =
        fmt::format("-p {} {}@{}", options_.port, options_.user, options_.host);
    if (offers_.empty()) {
        const std::string file = shell_quote(home_directory() + "/.ssh/id_ed25519");
        throw Error(ErrorKind::unreachable, fmt::format("no key to log in to {}", login_.where),
                    fmt::format("Type ssh-keygen -t ed25519 -N '' -f {} && ssh-copy-id -i {}.pub "
                                "{}, or set ssh_identity_file.",
                                file, file, target));
    }
    std::string tried;
    for (const std::string& offer : offers_) {
        tried += (tried.empty() ? "" : ", ") + offer;
    }
    std::string hint;
    if (!refused_key_.empty()) {
        hint = fmt::format("Type ssh-copy-id -i {} {}, or look into the log of sshd there.",
                           shell_quote(refused_key_), target);
    } else if (!encrypted_key_.empty()) {
        hint = fmt::format(
            "Nobody is there to type the passphrase: use a key without one (ssh-keygen -p -N '' -f "
            "{} takes it "
            "off) or an agent.",
            shell_quote(encrypted_key_));
    } else {
        hint = fmt::format("Set ssh_identity_file to a private key that {} lets in.", login_.where);
    }
    throw Error(ErrorKind::unreachable, fmt::format("cannot log in to {}: {}", login_.where, tried),
                hint);
}

}  // namespace

SshLogin log_in(const SshOptions& options, Deadline deadline) {
    return Login(options).run(deadline);
}

// libssh has one timeout for each call, and 0 means none (or 10 s).
void set_budget(const SshLogin& login, Deadline deadline) {
    throw_if_cancelled();
    const auto left = std::max(deadline.remaining(), milliseconds(1));
    const long seconds = static_cast<long>(left.count() / 1000);
    const long microseconds = static_cast<long>(left.count() % 1000) * 1000;
    set_option(login, SSH_OPTIONS_TIMEOUT, &seconds, "the timeout");
    set_option(login, SSH_OPTIONS_TIMEOUT_USEC, &microseconds, "the timeout");
}

bool is_over(Deadline deadline) {
    return deadline.remaining() <= kTimerSlack;
}

std::string error_text(ssh_session session) {
    const char* text = ssh_get_error(session);
    return text != nullptr && *text != '\0' ? text : "no reason given";
}

}  // namespace hooks
