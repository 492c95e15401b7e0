// A server that a systemd unit is there for ends up in that unit, on machines with a real systemd:
// Debian's postgresql@VERSION-NAME, and units as RHEL's packages have them.
#include <gtest/gtest.h>

#include <filesystem>

#include "common/app/node_steps.h"
#include "common/core/error.h"
#include "tests/cluster/debian_clusters.h"
#include "tests/support/place.h"
#include "tests/support/systemd_machine.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// As docs/operations.md has it.
constexpr const char* rule = R"js(
polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "postgres" &&
        /^postgresql(@[^.]*|-[0-9]+)?\.service$/.test(action.lookup("unit"))) {
        return polkit.Result.YES;
    }
});
)js";

class SystemdLayout : public testing::Test {
  protected:
    SystemdLayout()
        : account(Account::for_servers()),
          place(account),
          bin(find_postgres_bin_dir()),
          version(std::filesystem::path(bin).parent_path().filename()),
          log("layout_test"),
          env{"layout_test",
              log,
              default_config(),
              {},
              Deadline::after(seconds(120)),
              false,
              false,
              "",
              "",
              {},
              {},
              {},
              false,
              false,
              ""},
          machine(account.home + "/machine") {
        env.config.node_defaults.ssh_user = account.name;
        remove_debian_clusters();
        for (const std::string& left : {"/" + version, std::string("/pgsql")}) {
            std::filesystem::remove_all(account.home + left);
        }
    }

    void boot(bool permitted) {
        if (permitted) {
            machine.permit(rule);
        }
        machine.start();
    }
    void create_debian_cluster() {
        root({"pg_createcluster", version, "main"});
        directory = account.home + "/" + version + "/main";
    }
    // The lines that matter of the unit that PGDG's packages for RHEL ship, and a blank. A drop-in
    // is how an administrator has the data elsewhere.
    void create_red_hat_server(bool with_drop_in = false) {
        directory = account.home + "/pgsql/the data";
        place.must_run({"mkdir", account.home + "/pgsql"});
        place.must_run({bin + "/initdb", "-D", directory, "-N", "--no-instructions"});
        place.must_run(
            {"sh", "-c",
             "echo \"unix_socket_directories = ''\" >>'" + directory + "/postgresql.conf'"});
        const std::string unit = "postgresql-" + version + ".service";
        const std::string environment = "Environment=\"PGDATA=" + directory + "/\"\n";
        machine.add_unit(
            unit, "[Service]\nType=notify\nUser=postgres\n" +
                      (with_drop_in ? "Environment=PGDATA=/var/lib/pgsql/data/\n" : environment) +
                      "ExecStart=" + bin +
                      "/postgres -D ${PGDATA}\nKillMode=mixed\nKillSignal=SIGINT\n");
        if (with_drop_in) {
            machine.add_unit(unit + ".d/data.conf", "[Service]\n" + environment);
        }
        // It names the directory, too.
        machine.add_unit("archiver.service", "[Service]\nEnvironment=\"PGDATA=" + directory +
                                                 "\"\nExecStart=/bin/true\n");
    }
    Target look() {
        Backend backend;
        backend.id = 0;
        backend.data_directory = directory;
        Target target{backend,
                      env.config.node(0),
                      std::make_unique<SystemdMachine::AsNode>(machine, account.name),
                      {},
                      {}};
        look_at_files(target, 0, env.deadline);
        return target;
    }
    void expect_starts_and_stops_in(const std::string& unit) {
        Target target = look();
        ASSERT_EQ(target.report.systemd_unit, unit);
        check_unit_may_be_started(target, env.deadline);
        EXPECT_EQ(state_of(unit), "inactive\n") << "the question had an effect";
        start_server(target, env, env.deadline);
        ASSERT_TRUE(server_is_running(target, env.deadline));
        EXPECT_EQ(unit_of_server(), unit);
        EXPECT_EQ(state_of(unit), "active\n");
        const std::string since = machine.run({"cat", directory + "/postmaster.pid"}).out;
        check_unit_may_be_started(target, env.deadline);
        EXPECT_EQ(machine.run({"cat", directory + "/postmaster.pid"}).out, since);
        stop_server(target, env, env.deadline);
        EXPECT_FALSE(server_is_running(target, env.deadline));
        EXPECT_EQ(state_of(unit), "inactive\n");
    }
    void expect_refused_beforehand(Target& target) {
        try {
            check_unit_may_be_started(target, env.deadline);
            ADD_FAILURE() << "systemd lets it";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused) << error.what();
            EXPECT_NE(error.hint().find("systemctl start " + target.report.systemd_unit),
                      std::string::npos)
                << error.hint();
        }
    }
    std::string state_of(const std::string& unit) {
        return machine.run({"systemctl", "is-active", unit}).out;
    }
    // In whose control group its postmaster is.
    std::string unit_of_server() {
        const Outcome outcome =
            machine.run({"sh", "-c",
                         "sed -n 's,.*/\\([^/]*\\.service\\)$,\\1,p' /proc/$(head -n 1 '" +
                             directory + "/postmaster.pid')/cgroup | head -n 1"});
        EXPECT_TRUE(outcome.ok()) << outcome.describe();
        return outcome.out.substr(0, outcome.out.find('\n'));
    }
    static void root(std::vector<std::string> argv) {
        Command command;
        command.argv = std::move(argv);
        const Outcome outcome = run_process(command, Deadline::after(seconds(60)));
        ASSERT_TRUE(outcome.ok()) << outcome.describe();
    }

    Account account;
    Place place;
    std::string bin;
    std::string version;
    std::string directory;
    Log log;
    Env env;
    SystemdMachine machine;
};

TEST_F(SystemdLayout, ADebianClusterRunsInItsUnit) {
    create_debian_cluster();
    boot(true);
    expect_starts_and_stops_in("postgresql@" + version + "-main.service");
}

TEST_F(SystemdLayout, AServerOfRedHatRunsInItsUnit) {
    create_red_hat_server();
    boot(true);
    expect_starts_and_stops_in("postgresql-" + version + ".service");
}

TEST_F(SystemdLayout, WhereOnlySudoIsAllowedItAsksThat) {
    create_red_hat_server();
    const std::string unit = "postgresql-" + version + ".service";
    machine.permit_sudo(account.name + " ALL=(root) NOPASSWD: /usr/bin/systemctl start " + unit +
                        ", /usr/bin/systemctl stop " + unit + "\n");
    boot(false);
    expect_starts_and_stops_in(unit);
}

TEST_F(SystemdLayout, AServerThatCrashedIsStartedInItsUnitAgain) {
    create_red_hat_server(true);
    boot(true);
    Target target = look();
    start_server(target, env, env.deadline);
    ASSERT_TRUE(
        machine.run({"sh", "-c", "kill -9 $(head -n 1 '" + directory + "/postmaster.pid')"}).ok());
    const Deadline deadline = Deadline::after(seconds(20));
    while (server_is_running(target, deadline)) {
    }
    start_server(target, env, env.deadline);
    EXPECT_EQ(unit_of_server(), target.report.systemd_unit);
}

// The unit itself tells nothing but that it failed.
TEST_F(SystemdLayout, WhatTheServerSaysThatDoesNotStartIsInTheMessage) {
    create_debian_cluster();
    const std::string file = "/etc/postgresql/" + version + "/main/postgresql.conf";
    root({"sh", "-c", "echo no_such_setting = on >>" + file});
    boot(true);
    Target target = look();
    try {
        start_server(target, env, env.deadline);
        ADD_FAILURE() << "it started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::command) << error.what();
        EXPECT_NE(error.message().find("unrecognized configuration parameter \"no_such_setting\""),
                  std::string::npos)
            << error.what();
    }
    root({"sed", "-i", "/no_such_setting/d", file});
    start_server(target, env, env.deadline);
    EXPECT_EQ(unit_of_server(), target.report.systemd_unit);
}

// What stops the unit does not reach it.
TEST_F(SystemdLayout, AServerThatWasStartedBesideItsUnitIsStoppedAsWell) {
    create_debian_cluster();
    boot(true);
    Target target = look();
    Command by_hand;
    by_hand.argv = {bin + "/pg_ctl",
                    "-D",
                    directory,
                    "-w",
                    "-s",
                    "-l",
                    account.home + "/log",
                    "-o",
                    "-c config_file=" + target.report.config_file,
                    "start"};
    const Outcome started = target.node->run(by_hand, env.deadline, {});
    ASSERT_TRUE(started.ok()) << started.describe();
    look_at_files(target, 0, env.deadline);
    ASSERT_TRUE(target.report.running);
    stop_server(target, env, env.deadline);
    EXPECT_FALSE(server_is_running(target, env.deadline));
    look_at_files(target, 0, env.deadline);
    EXPECT_EQ(target.report.control->state, ClusterState::shut_down);
}

TEST_F(SystemdLayout, WhereSystemdLetsNobodyItIsRefusedWithWhatToPermit) {
    create_debian_cluster();
    boot(false);
    const std::string unit = "postgresql@" + version + "-main.service";
    Target target = look();
    try {
        start_server(target, env, env.deadline);
        ADD_FAILURE() << "it started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::refused) << error.what();
        EXPECT_NE(error.message().find("authentication required"), std::string::npos)
            << error.what();
        EXPECT_NE(error.message().find("a password is required"), std::string::npos)
            << error.what();
        EXPECT_NE(error.hint().find("systemctl start " + unit), std::string::npos) << error.hint();
    }
    EXPECT_FALSE(server_is_running(target, env.deadline));
    expect_refused_beforehand(target);
    // One that an administrator started goes on.
    ASSERT_TRUE(machine.run({"systemctl", "start", unit}).ok());
    expect_refused_beforehand(target);
    EXPECT_EQ(state_of(unit), "active\n");
    EXPECT_TRUE(server_is_running(target, env.deadline));
}

TEST_F(SystemdLayout, AtAnyPriceAUnitThatFailsIsNoObstacle) {
    create_debian_cluster();
    machine.add_unit("postgresql@" + version + "-main.service.d/broken.conf",
                     "[Service]\nExecStartPre=/bin/false\n");
    boot(true);
    Target target = look();
    try {
        start_server(target, env, env.deadline);
        ADD_FAILURE() << "it started";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::command) << error.what();
    }
    EXPECT_FALSE(server_is_running(target, env.deadline));
    start_server(target, env, env.deadline, StartWhere::anywhere);
    EXPECT_TRUE(server_is_running(target, env.deadline));
    stop_server(target, env, env.deadline);
}

// Without it, nobody would be the primary.
TEST_F(SystemdLayout, AtAnyPriceItIsStartedBesideItsUnitAndCanBeStoppedByNobodyElse) {
    create_debian_cluster();
    boot(false);
    Target target = look();
    start_server(target, env, env.deadline, StartWhere::anywhere);
    EXPECT_TRUE(server_is_running(target, env.deadline));
    EXPECT_NE(unit_of_server(), target.report.systemd_unit);
    stop_server(target, env, env.deadline);
    EXPECT_FALSE(server_is_running(target, env.deadline));
}

}  // namespace
}  // namespace hooks::harness
