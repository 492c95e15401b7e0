// How the server of a node is started and stopped, by the layout that was found there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hooks {

struct ServerLayout {
    std::string data_directory;
    std::string bin_dir;
    std::string systemd_unit;    // that runs this directory; empty without one, or without systemd
    std::string debian_cluster;  // "15/main"; empty where postgresql-common does not know it
    std::string start_command;   // of hooks.conf
    std::string stop_command;
};

enum class ControlBy { configured, systemd, pg_ctlcluster, pg_ctl };
const char* to_string(ControlBy by);

struct ControlCommand {
    ControlBy by = ControlBy::pg_ctl;
    std::vector<std::string> words;

    bool operator==(const ControlCommand&) const = default;
};

// In this order; the next one only where systemd did not let us (is_denial). PGDATA is in the
// environment of each. With a unit there is no other way: a server that was started beside its unit
// lives and dies with the unit of sshd or of pgpool, and a boot finds it unstarted.
std::vector<ControlCommand> start_commands(const ServerLayout& layout);
// The way that is left where systemd lets nobody, for a server that must be up at any price.
ControlCommand start_without_unit(const ServerLayout& layout);

// In this order, each only while the server still runs: one that was started by hand is none of its
// unit's. `mode`: fast or immediate; an immediate stop is never left to a unit, which would ask for
// a fast one. `seconds`: what pg_ctl waits.
std::vector<ControlCommand> stop_commands(const ServerLayout& layout, std::string_view mode,
                                          std::string_view seconds);

// Of those, what asks systemd; empty without a unit.
std::vector<ControlCommand> unit_stop_commands(const ServerLayout& layout);

// What systemctl shows of a unit; empty and 0 where it shows nothing.
struct UnitState {
    std::string active;  // its ActiveState
    bool main_process = false;

    bool at_rest() const { return active == "inactive" || active == "failed"; }
};
extern const std::vector<std::string> unit_state_words;  // of systemctl; the unit comes after them
UnitState parse_unit_state(std::string_view shown);

// To learn whether systemd lets us start and stop the unit, before anything is stopped or rebuilt
// that it would have to start: asks for what is so already, which changes nothing. The next one
// only after a denial. `runs`: whether a server does. Empty where there is nothing harmless to ask
// for: a unit that is about to start its server again would do so at once.
std::vector<ControlCommand> permission_probes(const ServerLayout& layout, const UnitState& state,
                                              bool runs);

// Whether systemctl or sudo refused to ask systemd, as opposed to a unit that failed.
bool is_denial(int exit_code, std::string_view said);
// What an administrator can do about it, a sentence.
std::string how_to_permit(const ServerLayout& layout, std::string_view user);

// What systemctl shows of a unit: "NAME: Environment=... ExecStart=...".
// The first of `units` that runs a server in one of `directories`, which are names of the same one.
// Empty when none does.
std::string unit_of_directory(const std::vector<std::string>& units,
                              const std::vector<std::string>& directories);

}  // namespace hooks
