// Where and as whom the servers of a test cluster run, and small helpers for their files.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/process.h"

namespace hooks::harness {

using Milliseconds = std::chrono::milliseconds;
using Environment = std::vector<std::pair<std::string, std::string>>;

// The harness itself could not do what it was asked for.
class HarnessError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// PostgreSQL refuses to run as root, so root uses the account "postgres"; others use their own.
struct Account {
    std::string name;
    std::string home;
    uid_t uid = 0;
    gid_t gid = 0;

    static Account for_servers();
};

// One machine of the cluster, as a prefix of the command line.
class Place {
  public:
    // `network_namespace` is a path as nsenter(1) takes it; empty: where this process is.
    explicit Place(Account account, std::string network_namespace = {});

    // Throws as run_process() does; an exit code is a value.
    Outcome run(std::vector<std::string> argv, Milliseconds timeout = std::chrono::seconds(60),
                const Environment& environment = {}, std::string input = {}) const;
    // The same; an exit code other than 0 throws HarnessError. Returns what it printed.
    std::string must_run(std::vector<std::string> argv,
                         Milliseconds timeout = std::chrono::seconds(60),
                         const Environment& environment = {}, std::string input = {}) const;
    // A server: in the background, output appended to `log_path`.
    pid_t launch(std::vector<std::string> argv, const std::string& log_path,
                 const Environment& environment = {}) const;

    const Account& account() const { return account_; }
    // Owned by the account. Missing parent directories are an error.
    void write_file(const std::string& path, std::string_view content, unsigned mode = 0600) const;
    void make_directory(const std::string& path, unsigned mode = 0700) const;

    // What runs `argv` there, for who starts it in another way.
    Command command(std::vector<std::string> argv, const Environment& environment) const;

  private:
    Account account_;
    std::string network_namespace_;
};

// PATH and the sbin directories, which an ordinary user may not have there. Throws HarnessError.
std::string find_program(const std::string& name);
// The bin directory of the newest PostgreSQL that is installed. Throws HarnessError.
std::string find_postgres_bin_dir();
int major_version_of(const std::string& postgres_bin_dir);

// Empty when there is no such file.
std::string read_file(const std::string& path);
std::string last_lines(const std::string& text, std::size_t count);

}  // namespace hooks::harness
