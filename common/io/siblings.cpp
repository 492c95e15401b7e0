#include "common/io/siblings.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace hooks {
namespace {

namespace fs = std::filesystem;

bool is_pid(const std::string& name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Its words end in NUL each.
bool has_word(const fs::path& process, std::string_view word) {
    std::ifstream file(process / "cmdline", std::ios::binary);
    const std::string words((std::istreambuf_iterator<char>(file)), {});
    const std::string wanted = std::string(1, '\0').append(word).append(1, '\0');
    return words.find(wanted) != std::string::npos;
}

}  // namespace

bool sibling_runs(std::string_view except) {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (error) {
        return false;
    }
    const std::string my_pid = std::to_string(::getpid());
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
        const std::string name = entry.path().filename();
        if (!is_pid(name) || name == my_pid) {
            continue;
        }
        std::error_code gone;
        if (fs::read_symlink(entry.path() / "exe", gone) == self && !gone &&
            !has_word(entry.path(), except)) {
            return true;
        }
    }
    return false;
}

}  // namespace hooks
