// From a list of arguments to one line for a POSIX shell. Used in one place only: where a command
// is handed to a remote login shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hooks {

// Throws Error{usage} on a NUL, carriage return or newline.
std::string shell_quote(std::string_view word);
std::string shell_quote(const std::vector<std::string>& words);  // joined by blanks

}  // namespace hooks
