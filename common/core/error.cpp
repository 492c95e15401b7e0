#include "common/core/error.h"

namespace hooks {

Error::Error(ErrorKind kind, std::string message, std::string hint)
    : kind_(kind), message_(std::move(message)), hint_(std::move(hint)) {
    render();
}

void Error::add_context(std::string outer_frame) {
    context_.insert(context_.begin(), std::move(outer_frame));
    render();
}

void Error::render() {
    text_.clear();
    for (const std::string& frame : context_) {
        text_ += frame;
        text_ += ": ";
    }
    text_ += message_;
}

const char* to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::internal:
            return "internal";
        case ErrorKind::usage:
            return "usage";
        case ErrorKind::config:
            return "config";
        case ErrorKind::refused:
            return "refused";
        case ErrorKind::unreachable:
            return "unreachable";
        case ErrorKind::command:
            return "command";
        case ErrorKind::sql:
            return "sql";
        case ErrorKind::timeout:
            return "timeout";
    }
    return "internal";
}

ExitCode exit_code(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::internal:
            return ExitCode::internal;
        case ErrorKind::usage:
        case ErrorKind::config:
            return ExitCode::usage;
        case ErrorKind::refused:
            return ExitCode::refused;
        case ErrorKind::unreachable:
            return ExitCode::unreachable;
        case ErrorKind::command:
        case ErrorKind::sql:
            return ExitCode::failed;
        case ErrorKind::timeout:
            return ExitCode::timeout;
    }
    return ExitCode::internal;
}

}  // namespace hooks
