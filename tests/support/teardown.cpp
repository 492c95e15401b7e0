#include "tests/support/teardown.h"

#include <signal.h>
#include <sys/shm.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "common/core/deadline.h"
#include "tests/support/place.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::vector<std::string> entries(const std::string& directory) {
    std::vector<std::string> result;
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        result.push_back(it->path());
    }
    return result;
}

std::vector<std::string> node_directories(const std::string& base) {
    std::vector<std::string> result = entries(base);
    std::erase_if(result, [](const std::string& path) {
        return !fs::path(path).filename().string().starts_with("node");
    });
    return result;
}

// Not only data/: a recovery works in a directory beside it.
std::vector<std::string> data_directories(const std::string& base) {
    std::vector<std::string> result;
    for (const std::string& node : node_directories(base)) {
        for (const std::string& path : entries(node)) {
            if (fs::exists(path + "/postmaster.pid")) {
                result.push_back(path);
            }
        }
    }
    return result;
}

pid_t first_number(const std::string& file) {
    return std::atoi(read_file(file).c_str());
}

// The file may outlive its process, and the number be in use again: the process has to name the
// configuration that it was started with.
pid_t server_with(const std::string& pid_file, const std::string& name,
                  const std::string& configuration) {
    const pid_t pid = first_number(pid_file);
    if (!is_alive(pid)) {
        return 0;
    }
    const std::string process = "/proc/" + std::to_string(pid);
    return read_file(process + "/comm") == name + "\n" &&
                   read_file(process + "/cmdline").find(configuration) != std::string::npos
               ? pid
               : 0;
}

pid_t pgpool_of(const std::string& base) {
    const std::string directory = base + "/pgpool";
    return server_with(directory + "/pgpool.pid", "pgpool", directory + "/pgpool.conf");
}

std::vector<pid_t> postmasters_of(const std::string& base) {
    std::vector<pid_t> result;
    for (const std::string& directory : data_directories(base)) {
        const pid_t pid = first_number(directory + "/postmaster.pid");
        if (is_alive(pid) && working_directory_of(pid) == directory) {
            result.push_back(pid);
        }
    }
    return result;
}

// Hooks, workers, sshds, and everything below them.
std::vector<pid_t> helpers_of(const std::string& base) {
    const std::vector<pid_t> hooks = running_programs_of(base + "/bin");
    std::set<pid_t> found(hooks.begin(), hooks.end());
    for (const std::string& directory : node_directories(base + "/ssh")) {
        const pid_t sshd = server_with(directory + "/sshd.pid", "sshd", directory + "/sshd_config");
        if (sshd != 0) {
            found.insert(sshd);
        }
    }
    std::set<pid_t> all = found;
    for (const pid_t pid : found) {
        for (const pid_t below : descendants_of(pid)) {
            all.insert(below);
        }
    }
    return {all.begin(), all.end()};
}

}  // namespace

void free_shared_memory(const std::string& data_directory) {
    // The seventh line of postmaster.pid: key and id. A clean stop removes file and segment.
    std::istringstream lines(read_file(data_directory + "/postmaster.pid"));
    std::string line;
    for (int i = 0; i < 7; ++i) {
        if (!std::getline(lines, line)) {
            return;
        }
    }
    unsigned long key = 0;
    int id = -1;
    shmid_ds segment{};
    // Only if nothing is attached: the number may belong to somebody else by now.
    if (std::istringstream(line) >> key >> id && ::shmctl(id, IPC_STAT, &segment) == 0 &&
        static_cast<unsigned long>(segment.shm_perm.__key) == key && segment.shm_nattch == 0) {
        ::shmctl(id, IPC_RMID, nullptr);
    }
}

void end_cluster(const std::string& base) {
    const Deadline deadline = Deadline::after(seconds(30));
    // Stopped in good order it frees its shared memory and semaphores. It waits for a hook that
    // runs, and may call the next one then, so the hooks go for as long as it takes.
    const Deadline patience = Deadline::after(seconds(15));
    const pid_t pgpool = pgpool_of(base);
    std::vector<pid_t> pgpool_family;
    if (pgpool != 0) {
        pgpool_family = descendants_of(pgpool);
        pgpool_family.push_back(pgpool);
        ::kill(pgpool, SIGINT);
    }
    for (;;) {
        const bool pgpool_runs = std::any_of(pgpool_family.begin(), pgpool_family.end(), is_alive);
        const std::vector<pid_t> helpers = helpers_of(base);
        const std::vector<pid_t> postmasters = postmasters_of(base);
        if (!pgpool_runs && helpers.empty() && postmasters.empty()) {
            break;
        }
        if (deadline.expired()) {
            throw HarnessError("some processes of the cluster in " + base + " do not end");
        }
        for (const pid_t pid : helpers) {
            ::kill(pid, SIGKILL);
        }
        if (pgpool_runs && patience.expired()) {
            for (const pid_t pid : pgpool_family) {
                ::kill(pid, SIGKILL);
            }
        }
        for (const pid_t pid : postmasters) {
            ::kill(pid, SIGCONT);
            for (const pid_t child : children_of(pid)) {
                ::kill(child, SIGCONT);  // a frozen one
            }
            ::kill(pid, SIGQUIT);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    for (const std::string& directory : data_directories(base)) {
        free_shared_memory(directory);
    }
}

}  // namespace hooks::harness
