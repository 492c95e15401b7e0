// Other processes of this executable on this machine.
#pragma once

#include <string_view>

namespace hooks {

// Whether one runs that was not started with the word `except`. Those of other users do not count:
// their executable cannot be told. Reads /proc, does not block.
bool sibling_runs(std::string_view except);

}  // namespace hooks
