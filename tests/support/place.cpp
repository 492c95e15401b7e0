#include "tests/support/place.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hooks::harness {

Account Account::for_servers() {
    const bool root = ::geteuid() == 0;
    const passwd* entry = root ? ::getpwnam("postgres") : ::getpwuid(::geteuid());
    if (entry == nullptr) {
        throw HarnessError(root ? "there is no account \"postgres\"; install PostgreSQL"
                                : "this user has no entry in the password file");
    }
    return {entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

Place::Place(Account account, std::string network_namespace)
    : account_(std::move(account)), network_namespace_(std::move(network_namespace)) {
}

Command Place::command(std::vector<std::string> argv, const Environment& environment) const {
    Command result;
    const bool other_user = ::geteuid() != account_.uid;
    const std::string uid = std::to_string(account_.uid);
    const std::string gid = std::to_string(account_.gid);
    if (!network_namespace_.empty()) {
        result.argv = {"nsenter", "--net=" + network_namespace_};
        if (other_user) {
            result.argv.insert(result.argv.end(), {"--setuid=" + uid, "--setgid=" + gid});
        }
        result.argv.emplace_back("--");
    } else if (other_user) {
        result.argv = {"setpriv", "--reuid=" + uid, "--regid=" + gid, "--clear-groups", "--"};
    }
    // A bare name is looked up by exec(3) with the PATH of this process, sbin not always included.
    if (argv.front().find('/') == std::string::npos) {
        argv.front() = find_program(argv.front());
    }
    result.argv.insert(result.argv.end(), std::make_move_iterator(argv.begin()),
                       std::make_move_iterator(argv.end()));
    result.environment = {
        {"HOME", account_.home}, {"USER", account_.name}, {"LOGNAME", account_.name}};
    result.environment.insert(result.environment.end(), environment.begin(), environment.end());
    return result;
}

Outcome Place::run(std::vector<std::string> argv, Milliseconds timeout,
                   const Environment& environment, std::string input) const {
    Command what = command(std::move(argv), environment);
    what.input = std::move(input);
    return run_process(what, Deadline::after(timeout));
}

std::string Place::must_run(std::vector<std::string> argv, Milliseconds timeout,
                            const Environment& environment, std::string input) const {
    std::string text;
    for (const std::string& word : argv) {
        text += (text.empty() ? "" : " ") + word;
    }
    Outcome outcome = run(std::move(argv), timeout, environment, std::move(input));
    if (!outcome.ok()) {
        throw HarnessError(text + ": " + outcome.describe());
    }
    return std::move(outcome.out);
}

pid_t Place::launch(std::vector<std::string> argv, const std::string& log_path,
                    const Environment& environment) const {
    if (!std::filesystem::exists(log_path)) {
        write_file(log_path, "", 0644);
    }
    return spawn_detached(command(std::move(argv), environment), log_path);
}

void Place::write_file(const std::string& path, std::string_view content, unsigned mode) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file || ::chmod(path.c_str(), mode) != 0 ||
        ::chown(path.c_str(), account_.uid, account_.gid) != 0) {
        throw HarnessError("cannot write " + path + ": " + std::strerror(errno));
    }
}

void Place::make_directory(const std::string& path, unsigned mode) const {
    if ((::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) || ::chmod(path.c_str(), mode) != 0 ||
        ::chown(path.c_str(), account_.uid, account_.gid) != 0) {
        throw HarnessError("cannot create " + path + ": " + std::strerror(errno));
    }
}

std::string find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream directories(std::string(path != nullptr ? path : "/usr/bin:/bin") +
                                   ":/usr/local/sbin:/usr/sbin:/sbin");
    for (std::string directory; std::getline(directories, directory, ':');) {
        const std::string candidate = directory + "/" + name;
        if (!directory.empty() && ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    throw HarnessError("there is no program \"" + name + "\"; install the package that has it");
}

std::string find_postgres_bin_dir() {
    namespace fs = std::filesystem;
    int newest = 0;
    std::string result;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
        const int version = std::atoi(entry.path().filename().c_str());
        if (version > newest && fs::exists(entry.path() / "bin/postgres", error)) {
            newest = version;
            result = entry.path() / "bin";
        }
    }
    return !result.empty() ? result : fs::path(find_program("postgres")).parent_path().string();
}

int major_version_of(const std::string& postgres_bin_dir) {
    const std::string program = postgres_bin_dir + "/postgres";
    const Outcome outcome =
        run_process({{program, "--version"}, {}, {}}, Deadline::after(std::chrono::seconds(10)));
    const std::size_t digits = outcome.out.find_first_of("0123456789");
    if (!outcome.ok() || digits == std::string::npos) {
        throw HarnessError(program + " --version: " + outcome.describe());
    }
    return std::atoi(outcome.out.c_str() + digits);
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string last_lines(const std::string& text, std::size_t count) {
    std::size_t position = text.size();
    if (position > 0 && text[position - 1] == '\n') {
        --position;
    }
    for (; count > 0 && position > 0; --count) {
        position = text.rfind('\n', position - 1);
        if (position == std::string::npos) {
            return text;
        }
    }
    return position == 0 ? text : text.substr(position + 1);
}

}  // namespace hooks::harness
