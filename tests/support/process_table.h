// What /proc says about processes that this program did not start itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/core/deadline.h"

namespace hooks::harness {

struct ProcessEntry {
    pid_t pid = 0;
    pid_t parent = 0;
    char state = '?';  // as in /proc/PID/stat: 'Z' is a zombie
    std::string name;
};

// OpenSSH 9.8 and later serve a connection by other programs than they listen with.
bool is_sshd(const ProcessEntry& entry);

std::vector<ProcessEntry> all_processes();
std::vector<pid_t> children_of(pid_t pid);
std::vector<pid_t> descendants_of(pid_t pid);

// A zombie counts as gone from the world, but not from the table.
bool is_alive(pid_t pid);
bool is_in_table(pid_t pid);
std::string working_directory_of(pid_t pid);
// Those whose executable file is in this directory itself.
std::vector<pid_t> running_programs_of(const std::string& directory);

// Waits until none of them is in the table any more; false at the deadline.
bool wait_until_gone(const std::vector<pid_t>& pids, Deadline deadline);

}  // namespace hooks::harness
