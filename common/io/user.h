// Who this process is.
#pragma once

#include <string>

namespace hooks {

// The home directory of the effective user by the user database, whatever $HOME says: a daemon
// may have none, or one of another user. Empty when the user has no entry.
std::string home_directory();

// "~/x" becomes HOME/x; any other path is returned as it is.
std::string expand_home(const std::string& path);

}  // namespace hooks
