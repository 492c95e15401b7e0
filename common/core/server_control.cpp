#include "common/core/server_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace hooks {
namespace {

using Words = std::vector<std::string>;

std::string pg_ctl(const ServerLayout& layout) {
    return layout.bin_dir + "/pg_ctl";
}

// "15/main" as two words.
Words pg_ctlcluster(const ServerLayout& layout, const Words& rest) {
    const std::string& cluster = layout.debian_cluster;
    const std::size_t slash = cluster.find('/');
    Words words = {"pg_ctlcluster", cluster.substr(0, slash), cluster.substr(slash + 1)};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
}

// As who we are (polkit decides), else by sudo. Neither may ask anybody for a password.
void ask_systemd(std::vector<ControlCommand>& commands, const ServerLayout& layout,
                 const char* verb) {
    commands.push_back(
        {ControlBy::systemd, {"systemctl", "--no-ask-password", verb, layout.systemd_unit}});
    commands.push_back(
        {ControlBy::systemd, {"sudo", "-n", "systemctl", verb, layout.systemd_unit}});
}

// `directory`, with `before` right in front of it (slashes may follow), as a word of its own: in
// quotes, or with one of `ends` behind it.
bool names_directory(std::string_view text, std::string_view before, std::string_view directory,
                     std::initializer_list<std::string_view> ends) {
    const std::string wanted = std::string(before) + std::string(directory);
    for (std::size_t at = text.find(wanted); at != std::string_view::npos;
         at = text.find(wanted, at + 1)) {
        const std::size_t end = text.find_first_not_of('/', at + wanted.size());
        const std::string_view rest =
            end == std::string_view::npos ? std::string_view() : text.substr(end);
        const char in_front = at == 0 ? ' ' : text[at - 1];
        const bool ended =
            rest.empty() || std::any_of(ends.begin(), ends.end(), [rest](std::string_view next) {
                return rest.starts_with(next);
            });
        if (in_front == '"' ? rest.starts_with('"')
                            : ended && (in_front == ' ' || in_front == '=')) {
            return true;
        }
    }
    return false;
}

// What systemctl shows: quotes around an assignment that has a blank, none around a word of a
// command.
bool runs_in(std::string_view shown, std::string_view command, std::string_view directory) {
    return names_directory(shown, "PGDATA=", directory, {" "}) ||
           names_directory(command, "-D ", directory, {" ;", " -"}) ||
           names_directory(command, "-D", directory, {" ;", " -"});
}

// "ExecStart={ path=/usr/pgsql-15/bin/postgres ; argv[]=... ; ... } ...". A unit that archives,
// watches or reloads may name the directory as well.
bool starts_a_server(std::string_view commands) {
    constexpr std::string_view before = "{ path=";
    for (std::size_t at = commands.find(before); at != std::string_view::npos;
         at = commands.find(before, at + 1)) {
        const std::string_view command = commands.substr(at + before.size());
        const std::string_view path = command.substr(0, command.find(" ;"));
        const std::string_view program = path.substr(path.rfind('/') + 1);
        const std::string_view words = command.substr(0, command.find('}'));
        if (program == "postgres" || program == "postmaster" ||
            (program == "pg_ctl" && words.find(" start ") != std::string_view::npos)) {
            return true;
        }
    }
    return false;
}

}  // namespace

const char* to_string(ControlBy by) {
    switch (by) {
        case ControlBy::configured:
            return "hooks.conf";
        case ControlBy::systemd:
            return "systemd";
        case ControlBy::pg_ctlcluster:
            return "pg_ctlcluster";
        case ControlBy::pg_ctl:
            return "pg_ctl";
    }
    return "";
}

ControlCommand start_without_unit(const ServerLayout& layout) {
    if (!layout.debian_cluster.empty()) {
        return {ControlBy::pg_ctlcluster, pg_ctlcluster(layout, {"start"})};
    }
    // pg_ctl puts -D into a command line in double quotes, where a shell still reads these; what it
    // finds in PGDATA it does not.
    if (layout.data_directory.find_first_of("\"$`\\") != std::string::npos) {
        return {ControlBy::pg_ctl, {pg_ctl(layout), "-W", "-s", "start"}};
    }
    return {ControlBy::pg_ctl, {pg_ctl(layout), "-D", layout.data_directory, "-W", "-s", "start"}};
}

std::vector<ControlCommand> start_commands(const ServerLayout& layout) {
    if (!layout.start_command.empty()) {
        return {{ControlBy::configured, {"/bin/sh", "-c", layout.start_command}}};
    }
    if (layout.systemd_unit.empty()) {
        return {start_without_unit(layout)};
    }
    std::vector<ControlCommand> commands;
    ask_systemd(commands, layout, "start");
    return commands;
}

std::vector<ControlCommand> stop_commands(const ServerLayout& layout, std::string_view mode,
                                          std::string_view seconds) {
    if (mode == "fast" && !layout.stop_command.empty()) {
        return {{ControlBy::configured, {"/bin/sh", "-c", layout.stop_command}}};
    }
    std::vector<ControlCommand> commands;
    if (mode == "fast") {
        commands = unit_stop_commands(layout);
    }
    const std::string how(mode);
    const std::string wait(seconds);
    if (!layout.debian_cluster.empty()) {
        // Options for pg_ctl also keep it from handing over to systemd.
        commands.push_back({ControlBy::pg_ctlcluster,
                            pg_ctlcluster(layout, {"stop", "-m", how, "--", "-t", wait})});
    } else {
        commands.push_back({ControlBy::pg_ctl,
                            {pg_ctl(layout), "-D", layout.data_directory, "-m", how, "-w", "-t",
                             wait, "-s", "stop"}});
    }
    return commands;
}

std::vector<ControlCommand> unit_stop_commands(const ServerLayout& layout) {
    std::vector<ControlCommand> commands;
    if (!layout.systemd_unit.empty()) {
        ask_systemd(commands, layout, "stop");
    }
    return commands;
}

const std::vector<std::string> unit_state_words = {"show", "-p",      "ActiveState",
                                                   "-p",   "MainPID", "--"};

UnitState parse_unit_state(std::string_view shown) {
    const auto value_of = [shown](std::string_view name) {
        const std::size_t at = shown.find(name);
        if (at == std::string_view::npos) {
            return std::string_view();
        }
        const std::string_view value = shown.substr(at + name.size());
        return value.substr(0, value.find('\n'));
    };
    const std::string_view pid = value_of("MainPID=");
    return {std::string(value_of("ActiveState=")), !pid.empty() && pid != "0"};
}

std::vector<ControlCommand> permission_probes(const ServerLayout& layout, const UnitState& state,
                                              bool runs) {
    std::vector<ControlCommand> commands;
    if (!layout.start_command.empty() || layout.systemd_unit.empty()) {
        return commands;
    }
    if (state.at_rest()) {
        ask_systemd(commands, layout, "stop");
        // Units that are bound to this one may be active all the same.
        commands.front().words.insert(commands.front().words.begin() + 1,
                                      "--job-mode=ignore-dependencies");
    } else if (runs && (state.active == "active" || state.active == "activating" ||
                        state.active == "reloading")) {
        ask_systemd(commands, layout, "start");
    }
    return commands;
}

bool is_denial(int exit_code, std::string_view said) {
    if (exit_code == 0) {
        return false;
    }
    for (const std::string_view words :
         {"authentication required", "Access denied", "Permission denied", "Not authorized",
          "SELinux policy denies access", "sudo: a password is required",
          "sudo: interactive authentication", "sudo: sorry", "no new privileges",
          "not in the sudoers", "not allowed to execute", "may not run sudo"}) {
        if (said.find(words) != std::string_view::npos) {
            return true;
        }
    }
    return exit_code == 127;  // no such program
}

std::string how_to_permit(const ServerLayout& layout, std::string_view user) {
    return fmt::format(
        "Let {0} do it, in /etc/sudoers.d/pgpool-hooks: \"{0} ALL=(root) NOPASSWD: "
        "/usr/bin/systemctl start {1}, /usr/bin/systemctl stop {1}\" (or by a polkit rule, see "
        "docs/operations.md), or set start_command.",
        user, layout.systemd_unit);
}

std::string unit_of_directory(const std::vector<std::string>& units,
                              const std::vector<std::string>& directories) {
    for (const std::string& unit : units) {
        const std::size_t colon = unit.find(": ");
        if (colon == std::string::npos) {
            continue;
        }
        const std::string_view shown = std::string_view(unit).substr(colon + 2);
        const std::size_t start = shown.find("ExecStart=");
        const std::string_view runs =
            start == std::string_view::npos ? std::string_view() : shown.substr(start);
        if (!starts_a_server(runs)) {
            continue;
        }
        for (const std::string& directory : directories) {
            if (!directory.empty() && runs_in(shown, runs, directory)) {
                return unit.substr(0, colon);
            }
        }
    }
    return "";
}

}  // namespace hooks
