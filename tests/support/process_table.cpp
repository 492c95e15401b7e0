#include "tests/support/process_table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace hooks::harness {
namespace {

std::optional<ProcessEntry> read_entry(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(file, text, '\0')) {
        return std::nullopt;
    }
    // The name stands in parentheses and may hold blanks and parentheses itself.
    const auto open = text.find('(');
    const auto close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open) {
        return std::nullopt;
    }
    ProcessEntry entry;
    entry.pid = pid;
    entry.name = text.substr(open + 1, close - open - 1);
    std::istringstream rest(text.substr(close + 1));
    rest >> entry.state >> entry.parent;
    return entry;
}

}  // namespace

bool is_sshd(const ProcessEntry& entry) {
    return entry.name == "sshd" || entry.name == "sshd-session" || entry.name == "sshd-auth";
}

std::vector<ProcessEntry> all_processes() {
    std::vector<ProcessEntry> result;
    std::error_code error;
    for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename();
        pid_t pid = 0;
        const auto [last, failure] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (failure == std::errc() && last == name.data() + name.size()) {
            if (auto entry = read_entry(pid)) {
                result.push_back(std::move(*entry));
            }
        }
    }
    return result;
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> result;
    for (const ProcessEntry& entry : all_processes()) {
        if (pid > 0 && entry.parent == pid) {
            result.push_back(entry.pid);
        }
    }
    return result;
}

std::vector<pid_t> descendants_of(pid_t pid) {
    const std::vector<ProcessEntry> table = all_processes();
    std::vector<pid_t> result;
    if (pid <= 0) {
        return result;  // nobody's; taken at its word, 0 would be the ancestor of all
    }
    std::vector<pid_t> pending{pid};
    while (!pending.empty()) {
        const pid_t parent = pending.back();
        pending.pop_back();
        for (const ProcessEntry& entry : table) {
            if (entry.parent == parent) {
                result.push_back(entry.pid);
                pending.push_back(entry.pid);
            }
        }
    }
    return result;
}

bool is_alive(pid_t pid) {
    const auto entry = pid > 0 ? read_entry(pid) : std::nullopt;
    return entry && entry->state != 'Z' && entry->state != 'X';
}

bool is_in_table(pid_t pid) {
    return pid > 0 && read_entry(pid).has_value();
}

std::string working_directory_of(pid_t pid) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd", error).string();
}

std::vector<pid_t> running_programs_of(const std::string& directory) {
    std::vector<pid_t> result;
    for (const ProcessEntry& entry : all_processes()) {
        std::error_code error;
        const std::filesystem::path program =
            std::filesystem::read_symlink("/proc/" + std::to_string(entry.pid) + "/exe", error);
        if (!program.empty() && program.parent_path() == directory) {
            result.push_back(entry.pid);
        }
    }
    return result;
}

bool wait_until_gone(const std::vector<pid_t>& pids, Deadline deadline) {
    for (;;) {
        if (std::none_of(pids.begin(), pids.end(), is_in_table)) {
            return true;
        }
        if (deadline.expired()) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace hooks::harness
