#include "common/io/program.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>

extern char** environ;

namespace hooks {
namespace {

bool is_executable_file(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
}

std::string lower_first(std::string text) {
    if (!text.empty()) {
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    }
    return text;
}

}  // namespace

bool is_variable_name(const std::string& name) {
    const auto legal = [](char c) {
        return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
    };
    return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
           std::all_of(name.begin(), name.end(), legal);
}

void check_words(const Command& command) {
    if (command.argv.empty() || command.argv[0].empty()) {
        throw Error(ErrorKind::internal, "a command without a program");
    }
    const auto has_nul = [](const std::string& word) {
        return word.find('\0') != std::string::npos;
    };
    for (const std::string& word : command.argv) {
        if (has_nul(word)) {
            throw Error(ErrorKind::internal, "a NUL in an argument of " + command.argv[0]);
        }
    }
    for (const auto& [name, value] : command.environment) {
        if (!is_variable_name(name) || has_nul(value)) {
            throw Error(ErrorKind::internal,
                        fmt::format("\"{}\" cannot be set in the environment", name));
        }
    }
}

std::string find_program(const std::string& name,
                         const std::vector<std::string>& more_directories) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    std::vector<std::string> directories;
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        directories.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    directories.insert(directories.end(), more_directories.begin(), more_directories.end());
    for (const std::string& directory : directories) {
        std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
        if (is_executable_file(candidate)) {
            return candidate;
        }
    }
    return {};
}

Error cannot_start(const std::string& name, int error_number) {
    if (error_number == ENOENT && name.find('/') == std::string::npos) {
        return Error(ErrorKind::command, name + ": command not found");
    }
    return Error(ErrorKind::command,
                 fmt::format("cannot run {}: {}", name, lower_first(std::strerror(error_number))));
}

std::string signal_name(int signal) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
    if (const char* name = ::sigabbrev_np(signal); name != nullptr) {
        return name;
    }
#endif
    return std::to_string(signal);
}

ProgramWords::ProgramWords(const Command& command) {
    const auto is_replaced = [&command](std::string_view variable) {
        const std::string_view name = variable.substr(0, variable.find('='));
        return name == "LC_ALL" ||
               std::any_of(command.environment.begin(), command.environment.end(),
                           [name](const auto& addition) { return addition.first == name; });
    };
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
        if (!is_replaced(*variable)) {
            environment_.push_back(*variable);
        }
    }
    variables_.reserve(command.environment.size() + 1);
    const bool own_locale =
        std::any_of(command.environment.begin(), command.environment.end(),
                    [](const auto& addition) { return addition.first == "LC_ALL"; });
    if (!own_locale) {
        variables_.push_back("LC_ALL=C");
    }
    for (const auto& [name, value] : command.environment) {
        variables_.push_back(name + "=" + value);
    }
    for (std::string& variable : variables_) {
        environment_.push_back(variable.data());
    }
    environment_.push_back(nullptr);
    for (const std::string& word : command.argv) {
        argv_.push_back(const_cast<char*>(word.c_str()));  // exec(3) does not write to it
    }
    argv_.push_back(nullptr);
}

}  // namespace hooks
