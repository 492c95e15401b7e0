// libpq connection strings: building them, quoting them where they stand inside a setting, and
// showing them without their secrets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hooks {

// keyword = value, in order. A keyword may be set again: the last one wins, in its first place.
class Conninfo {
  public:
    // Throws Error{config} on text that libpq would not accept ("host=" without end quote, ...),
    // on URIs (postgresql://...), on newlines and on NUL.
    static Conninfo parse(std::string_view text);

    // An empty value removes nothing: it sets the keyword to ''. Throws as parse() does.
    Conninfo& set(std::string_view keyword, std::string_view value);
    Conninfo& merge(const Conninfo& other);  // other's keywords win
    const std::string* find(std::string_view keyword) const;
    bool empty() const { return items_.empty(); }
    const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }

    // For libpq: every value quoted as conninfo_parse needs it.
    std::string str() const;
    // For people and logs: password, sslpassword and passphrases read "********".
    std::string redacted() const;

  private:
    std::vector<std::pair<std::string, std::string>> items_;
};

// A string as postgresql.conf, postgresql.auto.conf and recovery.conf want it: 'it''s'.
// Throws Error{config} on newlines and NUL.
std::string quote_guc_string(std::string_view value);
// A string as SQL literal; E'' when it holds a backslash, so that standard_conforming_strings
// does not matter.
std::string quote_sql_literal(std::string_view value);
std::string quote_sql_identifier(std::string_view name);

// For messages: "10.0.0.2:5432", "[fd00::2]:5432", "/run/postgresql:5432", "local socket:5432".
std::string host_and_port(std::string_view host, std::string_view port);

// The physical replication slot of a backend: "pgpool_node_2". Legal ([a-z0-9_], below 64 bytes)
// for every id, unique where several nodes share a host, and the same on every primary.
std::string slot_name(int node_id);

}  // namespace hooks
