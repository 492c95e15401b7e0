// What several contract tests need. Nothing here waits for luck: every wait is for a condition.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/deadline.h"
#include "common/core/error.h"
#include "common/io/unique_fd.h"

namespace hooks::contract {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A directory that goes away with this object. Others may enter it: servers run as other users.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::string& path() const { return path_; }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  private:
    std::string path_;
};

void write_file(const std::string& path, std::string_view text, mode_t mode = 0644);
std::string file_text(const std::string& path);
bool exists(const std::string& path);
std::vector<std::string> names_in(const std::string& directory);

// Looks every few milliseconds, at most `patience`.
bool becomes_true(const std::function<bool()>& condition, milliseconds patience = seconds(15));

bool is_alive(pid_t pid);  // and not a zombie
// `root` and all that descends from it.
std::vector<pid_t> process_tree(pid_t root);
// The end of "name:" in /proc/PID/status.
std::string status_field(std::string_view status, std::string_view name);
std::string this_executable();

// A server that lives as long as this object: a child of ours in the foreground, which the kernel
// ends should this process die.
class Daemon {
  public:
    // `user`: become this user first (we are root then); empty: stay who we are.
    Daemon(const std::vector<std::string>& argv, const std::string& log_path,
           const std::string& user = {});
    ~Daemon();  // SIGKILL
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    pid_t pid() const { return pid_; }
    bool running();

  private:
    pid_t pid_ = -1;
};

// Stands still for as long as this object lives.
class Stopped {
  public:
    explicit Stopped(std::vector<pid_t> pids);
    ~Stopped();
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;

  private:
    std::vector<pid_t> pids_;
};

// A TCP port of 127.0.0.1. As long as nobody accepts, connections are completed by the kernel, and
// nobody ever speaks.
class Listener {
  public:
    explicit Listener(int backlog = 16);
    int port() const { return port_; }
    int fd() const { return fd_.get(); }

  private:
    int port_ = 0;  // before fd_, whose initialisation sets it
    UniqueFd fd_;
};

int free_port();  // nobody listens there at this moment

// The Error that `body` throws; a test failure and nullopt when it throws none.
std::optional<Error> error_of(const std::function<void()>& body);

class Stopwatch {
  public:
    milliseconds elapsed() const {
        return std::chrono::duration_cast<milliseconds>(Deadline::Clock::now() - start_);
    }

  private:
    Deadline::Clock::time_point start_ = Deadline::Clock::now();
};

}  // namespace hooks::contract

// The Error that an expression throws, by name, and its kind.
#define ASSERT_ERROR(name, expected_kind, expression)                                 \
    const auto name = ::hooks::contract::error_of([&] { (void)(expression); });       \
    ASSERT_TRUE(name.has_value());                                                    \
    EXPECT_STREQ(::hooks::to_string(name->kind()), ::hooks::to_string(expected_kind)) \
        << name->what()

#define EXPECT_CONTAINS(text, part) \
    EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << (text)
#define EXPECT_LACKS(text, part) \
    EXPECT_EQ(std::string(text).find(part), std::string::npos) << "in: " << (text)
