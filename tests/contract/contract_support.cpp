#include "tests/contract/contract_support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace hooks::contract {
namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// A socket bound to a free port of 127.0.0.1, and that port.
UniqueFd bound_socket(int& port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        fail("bind");
    }
    port = ntohs(address.sin_port);
    return fd;
}

}  // namespace

TempDir::TempDir() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/hooks-contract-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr || ::chmod(path_.c_str(), 0755) != 0) {
        fail("mkdtemp " + path_);
    }
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view text, mode_t mode) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    if (::chmod(path.c_str(), mode) != 0) {
        fail("chmod " + path);
    }
}

std::string file_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        names.push_back(entry.path().filename());
    }
    return names;
}

bool becomes_true(const std::function<bool()>& condition, milliseconds patience) {
    const Deadline deadline = Deadline::after(patience);
    while (!condition()) {
        if (deadline.expired()) {
            return false;
        }
        std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
}

std::string status_field(std::string_view status, std::string_view name) {
    std::istringstream lines{std::string(status)};
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind(std::string(name) + ":", 0) == 0) {
            const std::size_t value = line.find_first_not_of(" \t", name.size() + 1);
            return value == std::string::npos ? "" : line.substr(value);
        }
    }
    return {};
}

bool is_alive(pid_t pid) {
    const std::string status = file_text("/proc/" + std::to_string(pid) + "/status");
    return !status.empty() && status_field(status, "State")[0] != 'Z';
}

std::vector<pid_t> process_tree(pid_t root) {
    std::vector<pid_t> tree = {root};
    for (std::size_t i = 0; i < tree.size(); ++i) {
        for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
            const pid_t pid = std::atoi(entry.path().filename().c_str());
            if (pid > 0 && status_field(file_text(entry.path() / "status"), "PPid") ==
                               std::to_string(tree[i])) {
                tree.push_back(pid);
            }
        }
    }
    return tree;
}

std::string this_executable() {
    return std::filesystem::read_symlink("/proc/self/exe");
}

Daemon::Daemon(const std::vector<std::string>& argv, const std::string& log_path,
               const std::string& user) {
    std::vector<char*> words;
    for (const std::string& word : argv) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    const passwd* account = user.empty() ? nullptr : ::getpwnam(user.c_str());
    if (!user.empty() && account == nullptr) {
        throw std::runtime_error("there is no user " + user);
    }
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) {
        fail("fork");
    }
    if (pid_ == 0) {
        const int null = ::open("/dev/null", O_RDONLY);
        const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(null, 0);
        ::dup2(log, 1);
        ::dup2(log, 2);
        if (account != nullptr &&
            (::initgroups(account->pw_name, account->pw_gid) != 0 ||
             ::setgid(account->pw_gid) != 0 || ::setuid(account->pw_uid) != 0)) {
            ::_exit(126);
        }
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after setuid(), which clears it
        if (::getppid() != parent) {
            ::_exit(126);
        }
        ::execv(words[0], words.data());
        ::_exit(127);
    }
}

Daemon::~Daemon() {
    if (pid_ > 0) {
        const std::vector<pid_t> tree = process_tree(pid_);
        for (const pid_t pid : tree) {
            ::kill(pid, SIGKILL);
        }
        ::waitpid(pid_, nullptr, 0);
    }
}

bool Daemon::running() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
    }
    return pid_ > 0;
}

Stopped::Stopped(std::vector<pid_t> pids) : pids_(std::move(pids)) {
    for (const pid_t pid : pids_) {
        ::kill(pid, SIGSTOP);
    }
    for (const pid_t pid : pids_) {
        EXPECT_TRUE(becomes_true([pid] {
            const std::string status = file_text("/proc/" + std::to_string(pid) + "/status");
            return status.empty() || status_field(status, "State")[0] == 'T';
        }));
    }
}

Stopped::~Stopped() {
    for (const pid_t pid : pids_) {
        ::kill(pid, SIGCONT);
    }
}

Listener::Listener(int backlog) : fd_(bound_socket(port_)) {
    if (::listen(fd_.get(), backlog) != 0) {
        fail("listen");
    }
}

int free_port() {
    int port = 0;
    bound_socket(port);
    return port;
}

std::optional<Error> error_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no Error was thrown";
    return std::nullopt;
}

}  // namespace hooks::contract
