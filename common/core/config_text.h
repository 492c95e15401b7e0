// How a row of the table of options reads, for whatever prints the table.
#pragma once

#include <string>
#include <string_view>

#include "common/core/config.h"

namespace hooks {

std::string key_text(const OptionRow& row);     // "ssh_port", "NODEID.ssh_host"
std::string description(const OptionRow& row);  // text, type, what empty means, in one paragraph

// `text` in lines of at most 100 columns: `first` in front of the first, `prefix` of the others.
std::string wrapped(std::string_view text, std::string_view first, std::string_view prefix);

}  // namespace hooks
