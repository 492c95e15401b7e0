#include "common/io/user.h"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace hooks {

std::string home_directory() {
    std::vector<char> buffer(4096);
    passwd entry{};
    passwd* found = nullptr;
    while (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
        buffer.resize(buffer.size() * 2);
    }
    return found != nullptr && found->pw_dir != nullptr ? found->pw_dir : "";
}

std::string expand_home(const std::string& path) {
    if (path.rfind("~/", 0) == 0) {
        return home_directory() + path.substr(1);
    }
    return path;
}

}  // namespace hooks
