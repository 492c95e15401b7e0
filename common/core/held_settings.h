// Settings of a running server that a hook holds for a moment. What is held says so itself and
// keeps what it was, so that any later run can put it back when this one is killed in between:
//
//   primary_conninfo = ORIGINAL host=/pgpool-hooks-held hostaddr=''
//   restore_command  = false # held by pgpool-hooks: ORIGINAL
//
// In a connection string the last of two equal keywords wins, and there is no such directory: the
// connection fails at once. "-reset" and ", reset" say that ORIGINAL came from another file than
// postgresql.auto.conf: it is put back by taking the line out of that.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hooks {

struct Held {
    std::string original;
    bool reset = false;
};

// nullopt for a connection string that this cannot be said in: a URI, one without its last quote,
// one that ends in "keyword=". It is left as it is.
std::optional<std::string> hold_conninfo(std::string_view original, bool reset);
std::optional<Held> held_conninfo(std::string_view value);
// As it was before anybody held it.
std::string conninfo_without_hold(std::string_view value);

std::string hold_restore_command(std::string_view original, bool reset);
std::optional<Held> held_restore_command(std::string_view value);

}  // namespace hooks
