#include "tests/contract/sshd_fixture.h"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "common/io/process.h"
#include "common/io/tcp_connect.h"

namespace hooks::contract {
namespace {

constexpr const char* kSshd = "/usr/sbin/sshd";

// True once something at the port says who it is.
bool speaks(int port) {
    try {
        const UniqueFd fd = tcp_connect("127.0.0.1", port, Deadline::after(seconds(2)));
        char banner[4] = {};
        return ::read(fd.get(), banner, sizeof banner) == 4 &&
               std::string_view(banner, 4) == "SSH-";
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

std::string current_user() {
    return ::getpwuid(::geteuid())->pw_name;
}

void make_key(const std::string& file, const std::string& passphrase) {
    const Outcome outcome = run_process(
        {{"ssh-keygen", "-q", "-t", "ed25519", "-f", file, "-N", passphrase, "-C", "test"}, {}, {}},
        Deadline::after(seconds(20)));
    if (!outcome.ok()) {
        throw std::runtime_error("ssh-keygen: " + outcome.describe());
    }
}

SshdFixture::SshdFixture(const std::string& more_config) {
    if (::geteuid() == 0) {
        ::mkdir("/run/sshd", 0755);  // sshd's privilege separation directory, when we are root
    }
    make_key(directory_ / "host_key");
    make_key(client_key());
    write_file(directory_ / "authorized_keys", file_text(client_key() + ".pub"), 0600);
    // Somebody else may take the port between its choice and sshd's bind().
    for (int attempt = 0; attempt < 5; ++attempt) {
        port_ = free_port();
        start(more_config);
        if (becomes_true([this] { return !daemon_->running() || speaks(port_); }) &&
            daemon_->running()) {
            write_file(known_hosts(), "");
            trust_at(port_);
            return;
        }
    }
    throw std::runtime_error("sshd does not start: " + log());
}

SshdFixture::~SshdFixture() {
    daemon_.reset();
    for (const std::string& name : names_in("/proc")) {
        const pid_t pid = std::atoi(name.c_str());
        if (pid > 0 && file_text("/proc/" + name + "/environ").find(mark()) != std::string::npos) {
            ::kill(pid, SIGKILL);
        }
    }
}

std::string SshdFixture::mark() const {
    return "HOOKS_CONTRACT_TEST=" + directory_.path();
}

void SshdFixture::start(const std::string& more_config) {
    write_file(directory_ / "sshd_config", "Port " + std::to_string(port_) +
                                               "\n"
                                               "ListenAddress 127.0.0.1\n"
                                               "HostKey " +
                                               (directory_ / "host_key") +
                                               "\n"
                                               "AuthorizedKeysFile " +
                                               (directory_ / "authorized_keys") +
                                               "\n"
                                               "PidFile none\n"
                                               "UsePAM no\n"
                                               "PermitRootLogin yes\n"
                                               "StrictModes no\n"
                                               "PasswordAuthentication no\n"
                                               "KbdInteractiveAuthentication no\n"
                                               "UseDNS no\n"
                                               "SetEnv " +
                                               mark() + "\n" + more_config);
    daemon_ = std::make_unique<Daemon>(
        std::vector<std::string>{kSshd, "-D", "-e", "-f", directory_ / "sshd_config"},
        directory_ / "log");
}

SshOptions SshdFixture::options() const {
    SshOptions options;
    options.host = "127.0.0.1";
    options.port = port_;
    options.user = current_user();
    options.identity_file = client_key();
    options.known_hosts_file = known_hosts();
    return options;
}

void SshdFixture::trust_at(int port) const {
    std::ofstream(known_hosts(), std::ios::app)
        << "[127.0.0.1]:" << port << " " << file_text(directory_ / "host_key.pub");
}

std::vector<pid_t> SshdFixture::connections() const {
    std::vector<pid_t> result;
    for (const pid_t pid : processes()) {
        if (status_field(file_text("/proc/" + std::to_string(pid) + "/status"), "PPid") ==
            std::to_string(daemon_->pid())) {
            result.push_back(pid);
        }
    }
    return result;
}

void SshdFixture::kill_connections() const {
    for (const pid_t pid : connections()) {
        // The connection's own process, and the one without privileges that a server which is
        // root starts for it.
        for (const pid_t part : process_tree(pid)) {
            if (status_field(file_text("/proc/" + std::to_string(part) + "/status"), "Name")
                    .rfind("sshd", 0) == 0) {
                ::kill(part, SIGKILL);
            }
        }
    }
}

}  // namespace hooks::contract
