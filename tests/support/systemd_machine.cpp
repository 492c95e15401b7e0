#include "tests/support/systemd_machine.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/process_table.h"
#include "tests/support/sandbox.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// DIRECTORY, then a command that runs in a control group of its own: two machines that share one
// would stop each other's servers. Version 2 also where the machine itself still has version 1,
// which tells nobody in a namespace that a group has become empty. Nothing is left of it when the
// command has ended.
constexpr const char* with_control_group = R"sh(
directory=$1
shift
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$directory/cgroup"
here=$directory/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
own=$(mktemp -d "$here/pgpool-hooks.XXXXXX")
sh -euc 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$own" "$@" || true
find "$own" -depth -type d -exec rmdir {} +
)sh";

// DIRECTORY. Few units: those of a whole system would set the time, the kernel's parameters and the
// devices of the machine that the tests run on, and clear its /tmp.
constexpr const char* script = R"sh(
cd /usr/lib/systemd/system
cp -P basic.target sysinit.target sockets.target shutdown.target umount.target final.target \
    local-fs.target paths.target slices.target timers.target network.target \
    dbus.socket dbus.service polkit.service postgresql@.service "$1/units"
mkdir "$1/units/sockets.target.wants"
ln -s ../dbus.socket "$1/units/sockets.target.wants/"
mount --bind "$1/units" /usr/lib/systemd/system
mount -t tmpfs tmpfs /usr/lib/systemd/system-generators
mount --bind "$1/etc" /etc/systemd/system
mount --bind "$1/rules" /etc/polkit-1/rules.d
mount --bind "$1/sudoers" /etc/sudoers.d
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/dbus /run/postgresql
chown postgres: /run/postgresql
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
export container=pgpool-hooks
exec /lib/systemd/systemd --system --log-target=console --unit=basic.target
)sh";

void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0644));
}

}  // namespace

SystemdMachine::SystemdMachine(std::string directory) : directory_(std::move(directory)) {
    if (!in_sandbox()) {
        throw HarnessError("a machine with systemd needs a sandbox");
    }
    for (const char* name : {"", "/units", "/etc", "/rules", "/sudoers", "/cgroup"}) {
        std::filesystem::create_directory(directory_ + name);
        std::filesystem::permissions(directory_ + name, std::filesystem::perms(0755));
    }
}

SystemdMachine::~SystemdMachine() {
    if (systemd_ != 0) {
        ::kill(systemd_, SIGKILL);  // and with it all of its pid namespace
    }
    if (supervisor_ != 0) {
        wait_until_gone({supervisor_}, Deadline::after(seconds(20)));
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void SystemdMachine::start() {
    Command command;
    command.argv = {
        "unshare", "--mount",  "/bin/sh",  "-eu",          "-c",      with_control_group,
        "machine", directory_, "unshare",  "--mount",      "--pid",   "--fork",
        "--ipc",   "--uts",    "--cgroup", "--mount-proc", "/bin/sh", "-eu",
        "-c",      script,     "machine",  directory_};
    const std::string log = directory_ + "/log";
    supervisor_ = spawn_detached(command, log);
    const Deadline deadline = Deadline::after(seconds(60));
    for (;;) {
        for (const ProcessEntry& process : all_processes()) {
            const std::vector<pid_t> above = children_of(supervisor_);
            if (process.name == "systemd" &&
                std::find(above.begin(), above.end(), process.parent) != above.end()) {
                systemd_ = process.pid;
            }
        }
        if (systemd_ != 0) {
            const std::string state = run({"systemctl", "is-system-running"}).out;
            if (state == "running\n" || state == "degraded\n") {
                return;
            }
        }
        if (deadline.expired() || !is_alive(supervisor_)) {
            throw HarnessError("systemd does not come up:\n" + read_file(log));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

void SystemdMachine::add_unit(const std::string& name, const std::string& text) const {
    const std::string path = directory_ + "/etc/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write(path, text);
}

void SystemdMachine::permit(const std::string& rule) const {
    write(directory_ + "/rules/50-pgpool-hooks.rules", rule);
}

void SystemdMachine::permit_sudo(const std::string& line) const {
    write(directory_ + "/sudoers/pgpool-hooks", line);
}

std::vector<std::string> SystemdMachine::inside() const {
    return {
        "nsenter", "--target=" + std::to_string(systemd_), "--mount", "--pid", "--cgroup", "--uts",
        "--ipc"};
}

Outcome SystemdMachine::run(std::vector<std::string> argv) const {
    Command command;
    command.argv = inside();
    command.argv.insert(command.argv.end(), argv.begin(), argv.end());
    return run_process(command, Deadline::after(seconds(60)));
}

Outcome SystemdMachine::AsNode::run(const Command& command, Deadline deadline,
                                    const LineSink& on_line) {
    Command wrapped = command;
    wrapped.argv = machine_.inside();
    for (const char* word : {"runuser", "-u"}) {
        wrapped.argv.emplace_back(word);
    }
    wrapped.argv.push_back(account_);
    wrapped.argv.emplace_back("--");
    wrapped.argv.insert(wrapped.argv.end(), command.argv.begin(), command.argv.end());
    return run_process(wrapped, deadline, on_line);
}

}  // namespace hooks::harness
