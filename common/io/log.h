// One logfmt line for each event: to stderr, which pgpool and PostgreSQL collect if they are told
// to, and to syslog, because pgpool may have /dev/null as stderr.
//
//   2026-11-22T07:40:01.123Z level=info hook=failover_command run=5f2c node=1 msg="promoted"
//
// Any thread may log. Values are quoted where needed; control characters are escaped, so that
// nothing a server or a host name says can forge a line.
#pragma once

#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace hooks {

enum class LogLevel { error, warn, info, debug };

class Log {
  public:
    using Field = std::pair<std::string_view, std::string>;
    using Fields = std::initializer_list<Field>;

    // `hook` is this executable's name. A new run id is drawn for each Log.
    explicit Log(std::string hook);

    void set_level(LogLevel level) { level_ = level; }
    bool enabled(LogLevel level) const { return level <= level_; }
    void enable_syslog();
    const std::string& run_id() const { return run_id_; }

    void write(LogLevel level, std::string_view message, Fields fields = {});
    void error(std::string_view message, Fields fields = {}) {
        write(LogLevel::error, message, fields);
    }
    void warn(std::string_view message, Fields fields = {}) {
        write(LogLevel::warn, message, fields);
    }
    void info(std::string_view message, Fields fields = {}) {
        write(LogLevel::info, message, fields);
    }
    void debug(std::string_view message, Fields fields = {}) {
        write(LogLevel::debug, message, fields);
    }

  private:
    std::string hook_;
    std::string run_id_;
    LogLevel level_ = LogLevel::info;
    bool syslog_ = false;
    std::mutex mutex_;
};

// 'key=value key="two words"', for logs and for the history file.
std::string logfmt(const Log::Field* begin, const Log::Field* end);
// "2026-11-22T07:40:01.123Z"
std::string utc_timestamp();

}  // namespace hooks
