// Settings of a running server that a hook holds for a moment. What is held says so itself and
// keeps what it was, so that any later run can put it back when this one is killed in between:
//
//   primary_conninfo = ORIGINAL host=/pgpool-hooks-held hostaddr=''
//   restore_command  = false # held by pgpool-hooks: ORIGINAL
//
// In a connection string the last of two equal keywords wins, and there is no such directory: the
// connection fails at once.
//
//   synchronous_standby_names              = ''
//   pgpool_hooks.synchronous_standby_names = ORIGINAL
//
// Held until its standbys are back. No value of that setting says "nobody" and what it was, so this
// stands beside it in a setting of our own: also in postgresql.auto.conf, thus gone together with
// the data directory, and in every session for who asks.
//
// "-reset" ", reset" and "reset: " in front say that ORIGINAL came from another file than
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

// The setting of our own: its name, what it says, and what it said. No name of a standby has a
// colon without quotes around it.
constexpr std::string_view held_synchronous_name = "pgpool_hooks.synchronous_standby_names";
std::string hold_synchronous(std::string_view original, bool reset);
std::optional<Held> held_synchronous(std::string_view note);  // nothing is held by an empty one

std::string hold_restore_command(std::string_view original, bool reset);
std::optional<Held> held_restore_command(std::string_view value);

}  // namespace hooks
