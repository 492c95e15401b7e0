#include "tests/support/pgpool_child.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

#include "common/io/program.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;

int check(int result, const char* what) {
    if (result < 0) {
        throw HarnessError(std::string(what) + ": " + std::strerror(errno));
    }
    return result;
}

// On pgpool's port where pgpool itself does not have it.
int listening_socket(int port) {
    const int fd = check(::socket(AF_INET, SOCK_STREAM, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    check(::listen(fd, 1), "listen");
    return fd;
}

std::string link_of(const std::string& path) {
    std::error_code error;
    return fs::read_symlink(path, error).string();
}

[[noreturn]] void become(const std::vector<char*>& argv, int err) {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_IGN);
    ::dup2(err, STDERR_FILENO);
    ::dup2(err, STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

}  // namespace

PgpoolChild::PgpoolChild(const Cluster& cluster, std::vector<std::string> argv, int node)
    : start_(std::chrono::steady_clock::now()) {
    const Account& account = cluster.account();
    const std::string uid = std::to_string(account.uid);
    const std::string gid = std::to_string(account.gid);
    std::vector<std::string> words{find_program("setpriv"), "--reuid=" + uid, "--regid=" + gid,
                                   "--clear-groups", "--"};
    if (node != kHub) {
        words = {find_program("nsenter"), "--net=" + cluster.network().namespace_path(node),
                 "--setuid=" + uid, "--setgid=" + gid, "--"};
    }
    words.insert(words.end(), argv.begin(), argv.end());
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);

    err_path_ = cluster.base_directory() + "/pgpool_child.err";
    const int err =
        check(::open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644), "open");
    const bool taken = cluster.options().with_pgpool;
    int pipe_ends[2];
    check(::pipe(pipe_ends), "pipe");
    descriptors_ = {listening_socket(taken ? 0 : cluster.options().pgpool_port), pipe_ends[0],
                    pipe_ends[1],
                    check(::open(cluster.hooks_conf_path().c_str(), O_RDONLY), "open"),
                    // Beyond what a loop over "the usual" numbers would close.
                    check(::fcntl(pipe_ends[0], F_DUPFD, 700), "fcntl")};
    for (const int fd : descriptors_) {
        inherited_.push_back(link_of("/proc/self/fd/" + std::to_string(fd)));
    }
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) {
        become(pointers, err);
    }
    ::close(err);
}

PgpoolChild::~PgpoolChild() {
    for (const int fd : descriptors_) {
        ::close(fd);
    }
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

std::string PgpoolChild::err() const {
    return read_file(err_path_);
}

void PgpoolChild::signal(int number) const {
    ::kill(pid_, number);
}

Milliseconds PgpoolChild::age() const {
    return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start_);
}

Outcome PgpoolChild::wait(Milliseconds timeout) {
    const Deadline deadline = Deadline::after(timeout);
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
        if (deadline.expired()) {
            throw HarnessError("it does not end:\n" + err());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    pid_ = -1;
    Outcome outcome;
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.signal = WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : "";
    outcome.err = err();
    return outcome;
}

std::vector<std::string> descriptors_of(pid_t pid) {
    std::vector<std::string> links;
    std::error_code error;
    for (const fs::directory_entry& entry :
         fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
        links.push_back(link_of(entry.path()));
    }
    return links;
}

std::string status_of(pid_t pid, const std::string& key) {
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
    for (std::string line; std::getline(lines, line);) {
        if (line.compare(0, key.size() + 2, key + ":\t") == 0) {
            return line.substr(key.size() + 2);
        }
    }
    return "";
}

}  // namespace hooks::harness
