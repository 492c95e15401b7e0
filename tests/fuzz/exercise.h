// What must hold for every input of a parser, hostile ones included. Shared by the fuzz targets and
// by the unit test that replays their corpus.
#pragma once

#include <stdexcept>
#include <string_view>

namespace hooks {

// Not an Error, so that it is not taken for a refused input.
struct BrokenProperty : std::logic_error {
    using std::logic_error::logic_error;
};

// Each returns whether the input was accepted; a refusal is an Error, which it swallows. Throws
// BrokenProperty.
bool exercise_conf(std::string_view input);
bool exercise_control_data(std::string_view input);
bool exercise_timeline(std::string_view input);
bool exercise_conninfo(std::string_view input);
// One word in a line.
bool exercise_arguments(std::string_view input);
bool exercise_waldump(std::string_view input);

struct Grammar {
    const char* name;  // of its folder in the corpus
    bool (*exercise)(std::string_view input);
};
inline constexpr Grammar grammars[] = {
    {"conf", exercise_conf},           {"control_data", exercise_control_data},
    {"timeline", exercise_timeline},   {"conninfo", exercise_conninfo},
    {"arguments", exercise_arguments}, {"waldump", exercise_waldump},
};

}  // namespace hooks
