// GoogleTest, and the small programs that some tests run as children: what they look at
// (dispositions of signals, cancellation) belongs to a whole process.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/local_node.h"
#include "common/io/pg_connection.h"
#include "common/io/process.h"
#include "common/io/signals.h"
#include "common/io/ssh_node.h"
#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

using Words = std::vector<std::string>;

// What is left of what we inherited: /proc/self/status, then a line for each descriptor.
int show_state() {
    reset_inherited_state();
    std::printf("%s", file_text("/proc/self/status").c_str());
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;  // the descriptor of the iterator itself
        const auto target = std::filesystem::read_symlink(entry.path(), gone);
        if (!gone && target.string().find("/proc/") != 0) {
            std::printf("fd %s %s\n", entry.path().filename().c_str(), target.c_str());
        }
    }
    return 0;
}

// Does something that lasts, and tells what a signal made of it.
int be_cancelled(const Words& words) {
    install_cancellation();
    const Deadline deadline = Deadline::after(seconds(60));
    const LineSink say_started = [](bool, std::string_view) {
        std::printf("started\n");
        std::fflush(stdout);
    };
    const Command sleeper{{"/bin/sh", "-c", "echo started; exec sleep 300"}, {}, {}};
    SshOptions options;
    options.host = "127.0.0.1";
    try {
        if (words.at(0) == "local") {
            LocalNode("local").run(sleeper, deadline, say_started);
        } else if (words.at(0) == "ssh") {
            options.port = std::stoi(words.at(1));
            options.user = words.at(2);
            options.identity_file = words.at(3);
            options.known_hosts_file = words.at(4);
            SshNode("ssh", options, seconds(60)).run(sleeper, deadline, say_started);
        } else if (words.at(0) == "ssh-connect") {
            options.port = std::stoi(words.at(1));
            options.user = "nobody";
            say_started(false, "");
            SshNode("ssh", options, seconds(60)).run(sleeper, deadline);
        } else if (words.at(0) == "postgres-connect") {
            Conninfo target;
            target.set("host", "127.0.0.1").set("port", words.at(1)).set("user", "nobody");
            say_started(false, "");
            PgConnection::open(target, "test", deadline);
        }
    } catch (const Interrupted& interrupted) {
        std::printf("interrupted by %d\n", interrupted.signal);
        return 130;
    } catch (const Error& error) {
        std::printf("error: %s\n", error.what());
    }
    return 1;
}

int detach(const Words& words) {
    const pid_t pid = spawn_detached({{"sleep", "300"}, {}, {}}, words.at(0));
    std::printf("%d\n", static_cast<int>(pid));
    return 0;
}

int run_helper(const std::string& name, const Words& words) {
    if (name == "show-state") {
        return show_state();
    }
    if (name == "be-cancelled") {
        return be_cancelled(words);
    }
    if (name == "detach") {
        return detach(words);
    }
    std::fprintf(stderr, "no helper %s\n", name.c_str());
    return 2;
}

}  // namespace
}  // namespace hooks::contract

int main(int argc, char** argv) {
    if (argc > 2 && std::string_view(argv[1]) == "--helper") {
        return hooks::contract::run_helper(argv[2], {argv + 3, argv + argc});
    }
    ::unsetenv("SSH_AUTH_SOCK");  // no test may depend on the keys of whoever runs it
    ::unsetenv("PGPASSFILE");
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
