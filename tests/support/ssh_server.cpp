#include "tests/support/ssh_server.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>

#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

std::string sftp_server_path() {
    for (const char* path : {"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"}) {
        if (std::filesystem::exists(path)) {
            return path;
        }
    }
    return "internal-sftp";
}

}  // namespace

void make_ssh_key(const Place& place, const std::string& path) {
    place.must_run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path});
}

SshServer::SshServer(Place place, std::string directory, std::string host, int port)
    : place_(std::move(place)),
      directory_(std::move(directory)),
      host_(std::move(host)),
      port_(port) {
}

void SshServer::configure(const std::string& authorized_key) const {
    place_.make_directory(directory_);
    make_ssh_key(place_, directory_ + "/host_key");
    place_.write_file(directory_ + "/authorized_keys", authorized_key);
    std::ostringstream conf;
    // Run by the account itself, not by root: that sshd needs no PAM, reads no shadow file and
    // lets in nobody else. StrictModes would mind the permissions of /tmp.
    conf << "ListenAddress " << host_ << "\n"
         << "Port " << port_ << "\n"
         << "HostKey " << directory_ << "/host_key\n"
         << "AuthorizedKeysFile " << directory_ << "/authorized_keys\n"
         << "PidFile " << directory_ << "/sshd.pid\n"
         << "AllowUsers " << place_.account().name << "\n"
         << "UsePAM no\n"
         << "PasswordAuthentication no\n"
         << "KbdInteractiveAuthentication no\n"
         << "StrictModes no\n"
         << "PrintMotd no\n"
         << "MaxStartups 100\n"
         << "Subsystem sftp " << sftp_server_path() << "\n";
    place_.write_file(directory_ + "/sshd_config", conf.str());
}

void SshServer::start(Milliseconds timeout) {
    if (is_alive(pid_)) {
        throw HarnessError("an sshd runs on " + host_ + " already");
    }
    const std::size_t old_log = log().size();
    // sshd executes itself again for each connection and wants its own full path for that.
    pid_ = place_.launch({find_program("sshd"), "-D", "-e", "-f", directory_ + "/sshd_config"},
                         directory_ + "/sshd.log");
    const Deadline deadline = Deadline::after(timeout);
    while (log().find("Server listening", old_log) == std::string::npos) {
        if (deadline.expired() || !is_alive(pid_)) {
            throw HarnessError("sshd on " + host_ + " does not come up:\n" + last_lines(log(), 10));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

std::vector<pid_t> SshServer::processes() const {
    std::vector<pid_t> result;
    if (pid_ <= 0) {
        return result;
    }
    result.push_back(pid_);
    const std::vector<pid_t> below = descendants_of(pid_);
    for (const ProcessEntry& entry : all_processes()) {
        if (is_sshd(entry) && std::find(below.begin(), below.end(), entry.pid) != below.end()) {
            result.push_back(entry.pid);
        }
    }
    return result;
}

void SshServer::kill() {
    const std::vector<pid_t> victims = processes();
    for (const pid_t pid : victims) {
        ::kill(pid, SIGKILL);
    }
    if (!wait_until_gone(victims, Deadline::after(std::chrono::seconds(10)))) {
        throw HarnessError("sshd on " + host_ + " does not end");
    }
    pid_ = 0;
}

void SshServer::freeze() const {
    for (const pid_t pid : processes()) {
        ::kill(pid, SIGSTOP);
    }
}

void SshServer::thaw() const {
    for (const pid_t pid : processes()) {
        ::kill(pid, SIGCONT);
    }
}

void SshServer::change_host_key() const {
    std::filesystem::remove(directory_ + "/host_key");
    std::filesystem::remove(directory_ + "/host_key.pub");
    make_ssh_key(place_, directory_ + "/host_key");
}

std::string SshServer::known_hosts_line() const {
    const std::string name = port_ == 22 ? host_ : "[" + host_ + "]:" + std::to_string(port_);
    return name + " " + read_file(directory_ + "/host_key.pub");
}

std::string SshServer::log() const {
    return read_file(directory_ + "/sshd.log");
}

}  // namespace hooks::harness
