// The words that pgpool hands to a hook. It expands them without quoting: an unset value vanishes
// and shifts the rest, 4.4 and later put a blank before some numbers, and "nothing" can arrive as
// an empty word or as two quote characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hooks {

using Arguments = std::vector<std::string>;

// Accepts blanks around the number. Throws Error{usage} that names the placeholder; how the words
// should stand, its hint, is for the caller to say.
int parse_node_id(std::string_view word, std::string_view placeholder);
int parse_port(std::string_view word, std::string_view placeholder);

// The word without blanks around it; "" and '' as text count as empty.
std::string plain_word(std::string_view word);

// A host name, an IP address or the directory of a unix socket. Throws Error{usage} on anything
// else: quotes, blanks, $, ; and so on never name a host.
std::string parse_host(std::string_view word, std::string_view placeholder);
// An absolute path without control characters. Blanks and quotes are legal in a path.
std::string parse_directory(std::string_view word, std::string_view placeholder);

}  // namespace hooks
