// Expecting one Error, and all of what it says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/core/error.h"

namespace hooks {

// "KIND: WHAT" of the Error that `body` throws, and "; HINT" if it has one. "nothing" when it
// throws none.
inline std::string thrown(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        const std::string text = std::string(to_string(error.kind())) + ": " + error.what();
        return error.hint().empty() ? text : text + "; " + error.hint();
    }
    return "nothing";
}

// The kind of the Error that `body` throws, or "nothing".
inline std::string thrown_kind(const std::function<void()>& body) {
    const std::string text = thrown(body);
    return text.substr(0, text.find(':'));
}

// A name that is as hard to quote as a name can be.
inline const std::string nasty_name = R"(n3 it's \a "dq" =x #h $y z` %p)";

}  // namespace hooks
