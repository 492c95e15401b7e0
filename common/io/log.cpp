#include "common/io/log.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace hooks {
namespace {

const char* name_of(LogLevel level) {
    switch (level) {
        case LogLevel::error:
            return "error";
        case LogLevel::warn:
            return "warn";
        case LogLevel::info:
            return "info";
        case LogLevel::debug:
            return "debug";
    }
    return "?";
}

int syslog_priority(LogLevel level) {
    switch (level) {
        case LogLevel::error:
            return LOG_ERR;
        case LogLevel::warn:
            return LOG_WARNING;
        case LogLevel::info:
            return LOG_INFO;
        case LogLevel::debug:
            return LOG_DEBUG;
    }
    return LOG_ERR;
}

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) {
        return true;
    }
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_control(byte) || c == ' ' || c == '"' || c == '=' || c == '\\' || byte == 0xc2) {
            return true;
        }
    }
    return false;
}

void append_quoted(std::string& line, std::string_view value) {
    line += '"';
    for (std::size_t i = 0; i < value.size(); ++i) {
        const auto byte = static_cast<unsigned char>(value[i]);
        const auto next = i + 1 < value.size() ? static_cast<unsigned char>(value[i + 1]) : 0U;
        if (value[i] == '"' || value[i] == '\\') {
            line += '\\';
            line += value[i];
        } else if (value[i] == '\n') {
            line += "\\n";
        } else if (value[i] == '\t') {
            line += "\\t";
        } else if (value[i] == '\r') {
            line += "\\r";
        } else if (is_control(byte)) {
            line += fmt::format("\\x{:02x}", byte);
        } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
            // U+0080..U+009F: control characters too, for a terminal that reads UTF-8.
            line += fmt::format("\\u{:04x}", next);
            ++i;
        } else {
            line += value[i];
        }
    }
    line += '"';
}

void append_field(std::string& line, std::string_view key, std::string_view value) {
    if (!line.empty()) {
        line += ' ';
    }
    line += key;
    line += '=';
    if (needs_quotes(value)) {
        append_quoted(line, value);
    } else {
        line += value;
    }
}

std::string new_run_id() {
    unsigned char bytes[3] = {};
    if (::getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != sizeof bytes) {
        // Early in a boot. An id that is only probably unique is still an id.
        const auto now = static_cast<unsigned long>(std::time(nullptr)) ^
                         (static_cast<unsigned long>(::getpid()) << 8);
        return fmt::format("{:06x}", now & 0xffffffUL);
    }
    return fmt::format("{:02x}{:02x}{:02x}", bytes[0], bytes[1], bytes[2]);
}

// One write(2), so that lines of several processes that share a pipe do not mix. The loop is for
// signals and for the rest of a line that was longer than the pipe took.
void write_line(const std::string& line) {
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (written > 0) {
            rest.remove_prefix(static_cast<std::size_t>(written));
        } else if (written == 0 || errno != EINTR) {
            return;  // nowhere to complain to
        }
    }
}

}  // namespace

Log::Log(std::string hook) : hook_(std::move(hook)), run_id_(new_run_id()) {
}

void Log::enable_syslog() {
    const std::lock_guard lock(mutex_);
    // syslog(3) keeps the pointer.
    static std::string ident;
    ident = hook_;
    ::openlog(ident.c_str(), LOG_PID, LOG_DAEMON);
    syslog_ = true;
}

void Log::write(LogLevel level, std::string_view message, Fields fields) {
    if (!enabled(level)) {
        return;
    }
    std::string event;
    append_field(event, "level", name_of(level));
    append_field(event, "hook", hook_);
    append_field(event, "run", run_id_);
    for (const auto& [key, value] : fields) {
        append_field(event, key, value);
    }
    event += " msg=";
    append_quoted(event, message);

    const std::lock_guard lock(mutex_);
    write_line(utc_timestamp() + " " + event + "\n");
    if (syslog_) {
        ::syslog(LOG_DAEMON | syslog_priority(level), "%s", event.c_str());
    }
}

std::string logfmt(const Log::Field* begin, const Log::Field* end) {
    std::string line;
    for (const Log::Field* field = begin; field != end; ++field) {
        append_field(line, field->first, field->second);
    }
    return line;
}

std::string utc_timestamp() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                       now.tv_nsec / 1000000);
}

}  // namespace hooks
