// The grammar of postgresql.conf (guc-file.l), which postgresql.auto.conf, recovery.conf,
// pgpool.conf and hooks.conf share: a reader, and an editor that keeps everything it does not
// change, comments and blank lines included.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hooks {

struct ConfSetting {
    std::string name;   // as written; names are compared without regard to case
    std::string value;  // unquoted and unescaped
    int line = 0;       // from 1
};

class ConfFile {
  public:
    // `origin` names the file in messages. Throws Error{config} "FILE:LINE: ...".
    // include directives are kept as settings named "include" and so on; they are not followed.
    static ConfFile parse(std::string_view text, std::string origin);

    const std::string& origin() const { return origin_; }
    const std::vector<ConfSetting>& settings() const { return settings_; }
    // The last one wins, as in the server.
    const ConfSetting* find(std::string_view name) const;
    std::optional<std::string> value(std::string_view name) const;

    // Sets `name` to `value` once: the last line that sets it is rewritten in place, earlier ones
    // are removed, and a name that is not there is appended. A comment behind the value stays.
    // Running it twice changes nothing. Throws Error{config} on a value that no line can hold.
    void set(std::string_view name, std::string_view value);
    // Removes every line that sets `name`.
    void remove(std::string_view name);

    std::string text() const;

  private:
    struct Line {
        std::string text;  // without its newline
        std::optional<ConfSetting> setting;
    };
    void index();

    std::string origin_;
    std::vector<Line> lines_;  // never empty; a final newline shows as an empty last line
    std::vector<ConfSetting> settings_;
};

}  // namespace hooks
