// Units that are not as simple as the packages' own, and a systemd that does not answer.
#include <fmt/format.h>

#include "tests/cluster/systemd_layout.h"

namespace hooks::harness {
namespace {

class SystemdUnit : public SystemdLayout {
  protected:
    std::string postgres() const { return "ExecStart=" + bin + "/postgres -D ${PGDATA}\n"; }
    std::string shows(const std::string& property) const {
        const std::string out =
            machine.run({"systemctl", "show", "-p", property, "--", unit()}).out;
        return out.substr(out.find('=') + 1, out.find('\n') - out.find('=') - 1);
    }
    void start_and_wait(Target& target) {
        start_server(target, env, env.deadline);
        wait_until("its server", [&] { return server_is_running(target, env.deadline); });
    }
    ClusterState state_of_files(Target& target) {
        look_at_files(target, 0, env.deadline);
        return target.report.control->state;
    }
    // With a client that stays until it is sent away.
    void connect_client() {
        client = std::make_unique<Command>();
        client->argv = {bin + "/psql", "-X", "-h",       "127.0.0.1", "-U",
                        account.name,  "-d", "postgres", "-c",        "SELECT pg_sleep(600)"};
        spawn_detached(*client, account.home + "/client.log");
        wait_until("a client", [&] {
            return machine
                       .run({bin + "/psql", "-X", "-h", "127.0.0.1", "-U", account.name, "-d",
                             "postgres", "-Atc",
                             "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)%'"
                             " AND pid <> pg_backend_pid()"})
                       .out == "1\n";
        });
    }
    std::string psql(int port, const std::string& sql) const {
        return machine
            .run({bin + "/psql", "-X", "-h", "127.0.0.1", "-p", std::to_string(port), "-U",
                  account.name, "-d", "postgres", "-Atc", sql})
            .out;
    }
    // A standby of it is promoted, on port 5433; then it writes what that one does not have, and is
    // killed. Returns the data directory of the new primary.
    std::string lose_primary(Target& target) {
        start_and_wait(target);
        wait_until("an answer", [&] { return psql(5432, "SELECT 1") == "1\n"; });
        const std::string other = account.home + "/pgsql/other";
        const auto as_owner = [&](const std::vector<std::string>& argv) {
            Command command;
            command.argv = argv;
            const Outcome outcome = target.node->run(command, env.deadline, {});
            ASSERT_TRUE(outcome.ok()) << outcome.describe();
        };
        as_owner({bin + "/pg_basebackup", "-h", "127.0.0.1", "-U", account.name, "-D", other, "-R",
                  "-c", "fast"});
        as_owner({bin + "/pg_ctl", "-D", other, "-o", "-p 5433", "-w", "-s", "-l",
                  account.home + "/other.log", "start"});
        as_owner({bin + "/pg_ctl", "-D", other, "-w", "-s", "promote"});
        psql(5433, "CREATE TABLE kept (a int)");
        psql(5432, "CREATE TABLE lost (a int)");
        signal_postmaster("KILL");
        return other;
    }
    Outcome recover(Target& target, const std::string& primary) {
        // Where that account may run it.
        const std::string hook = account.home + "/pgsql/recovery_1st_stage";
        std::filesystem::copy_file(
            std::filesystem::read_symlink("/proc/self/exe").parent_path() / "recovery_1st_stage",
            hook, std::filesystem::copy_options::overwrite_existing);
        place.write_file(account.home + "/pgsql/hooks.conf",
                         "ssh_user = '" + account.name + "'\nreplication_user = '" + account.name +
                             "'\nstate_dir = '" + account.home + "/pgsql/state'\n");
        Command command;
        command.argv = {hook,       "--config",  account.home + "/pgsql/hooks.conf",
                        primary,    "127.0.0.1", directory,
                        "5433",     "0",         "5432",
                        "127.0.0.1"};
        return target.node->run(command, env.deadline, {});
    }
    std::unique_ptr<Command> client;
};

// Its start would say that all is well and do nothing.
TEST_F(SystemdUnit, OneThatIsActiveWithoutAServerIsStoppedAndStarted) {
    create_server("Type=oneshot\nRemainAfterExit=yes\nExecStart=" + bin +
                  "/pg_ctl start -w -s -l /dev/null\nExecStop=" + bin + "/pg_ctl stop -m fast\n");
    machine.permit_sudo(account.name + " ALL=(root) NOPASSWD: /usr/bin/systemctl start " + unit() +
                        ", /usr/bin/systemctl stop " + unit() + "\n");
    boot(false);
    Target target = look();
    start_and_wait(target);
    signal_postmaster("KILL");
    wait_until("its end", [&] { return !server_is_running(target, env.deadline); });
    ASSERT_EQ(state_of(unit()), "active\n");
    start_and_wait(target);
    EXPECT_EQ(unit_of_server(), unit());
}

// What it sends is SIGTERM, on which a server waits for its clients to go.
TEST_F(SystemdUnit, OneWithoutAFastStopIsStoppedFastAndStaysStopped) {
    create_server(postgres() + "KillMode=mixed\nRestart=always\nRestartSec=100ms\n");
    boot(true);
    Target target = look();
    start_and_wait(target);
    wait_until("an answer", [&] {
        return machine.run({bin + "/pg_isready", "-q", "-h", "127.0.0.1"}).ok();
    });
    connect_client();
    const auto began = std::chrono::steady_clock::now();
    stop_server(target, env, env.deadline);
    // systemctl alone would have been waited for 30 s.
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
    EXPECT_EQ(state_of_files(target), ClusterState::shut_down);
    EXPECT_EQ(state_of(unit()), "inactive\n");
    EXPECT_EQ(shows("NRestarts"), "0");
}

TEST_F(SystemdUnit, AServerThatTakesNoSignalIsNotRestartedWhenItIsKilled) {
    create_server(postgres() + "KillMode=mixed\nRestart=always\nRestartSec=100ms\n");
    boot(true);
    Target target = look();
    start_and_wait(target);
    signal_postmaster("STOP");
    wait_until("its standstill",
               [&] { return server_is_running(target, env.deadline) && target.report.frozen; });
    stop_server(target, env, env.deadline);
    wait_until("the unit's end", [&] { return state_of(unit()) != "deactivating\n"; });
    const std::string state = state_of(unit());
    EXPECT_TRUE(state == "inactive\n" || state == "failed\n") << state;
    EXPECT_EQ(shows("NRestarts"), "0");
}

// Neither by the unit nor by the question whether it may be started.
TEST_F(SystemdUnit, OneThatIsAboutToRestartItsServerIsPutToRest) {
    create_server(postgres() + "KillMode=mixed\nRestart=always\nRestartSec=1h\n");
    boot(true);
    Target target = look();
    EXPECT_FALSE(put_unit_to_rest(target, env, env.deadline));
    start_and_wait(target);
    signal_postmaster("KILL");
    wait_until("its restart", [&] {
        return !server_is_running(target, env.deadline) && shows("SubState") == "auto-restart";
    });
    check_unit_may_be_started(target, env, env.deadline);
    EXPECT_EQ(shows("SubState"), "auto-restart");
    EXPECT_TRUE(put_unit_to_rest(target, env, env.deadline));
    EXPECT_NE(state_of(unit()), "activating\n");
    EXPECT_FALSE(server_is_running(target, env.deadline));
    EXPECT_FALSE(put_unit_to_rest(target, env, env.deadline));
    start_and_wait(target);
    EXPECT_EQ(unit_of_server(), unit());
}

// It would start the server while its files are rewound.
TEST_F(SystemdUnit, ARecoveryPutsAUnitToRestThatIsAboutToRestartItsServer) {
    create_server(postgres() +
                  "KillMode=mixed\nKillSignal=SIGINT\nRestart=always\nRestartSec=1h\n");
    boot(true);
    Target target = look();
    const std::string primary = lose_primary(target);
    wait_until("its restart", [&] { return shows("SubState") == "auto-restart"; });
    const Outcome outcome = recover(target, primary);
    EXPECT_TRUE(outcome.ok()) << outcome.describe();
    EXPECT_NE(state_of(unit()), "activating\n");
    EXPECT_FALSE(server_is_running(target, env.deadline));
    start_and_wait(target);
    EXPECT_EQ(unit_of_server(), unit());
    wait_until("its primary's rows", [&] {
        return psql(5432,
                    "SELECT pg_is_in_recovery(), to_regclass('lost') IS NULL,"
                    " to_regclass('kept') IS NOT NULL") == "t|t|t\n";
    });
}

TEST_F(SystemdUnit, TheQuestionWhetherItMayBeStoppedStopsNothingThatIsBoundToIt) {
    create_red_hat_server();
    machine.add_unit("pooler.service",
                     "[Unit]\nPartOf=" + unit() + "\n[Service]\nExecStart=sleep 600\n");
    boot(true);
    Target target = look();
    ASSERT_TRUE(machine.run({"systemctl", "start", "pooler.service"}).ok());
    check_unit_may_be_started(target, env, env.deadline);
    EXPECT_EQ(state_of("pooler.service"), "active\n");
}

TEST_F(SystemdUnit, WhereSystemdDoesNotTellItsUnitAServerIsNotStartedBesideIt) {
    create_red_hat_server();
    boot(true);
    const std::string socket = "/run/dbus/system_bus_socket";
    ASSERT_TRUE(machine.run({"mv", socket, socket + ".away"}).ok());
    Target target = look();
    EXPECT_EQ(target.report.systemd_unit, "");
    for (const bool beforehand : {true, false}) {
        Error error(ErrorKind::internal, "nothing");
        if (beforehand) {
            try {
                check_unit_may_be_started(target, env, env.deadline);
            } catch (const Error& thrown) {
                error = thrown;
            }
        } else {
            error = expect_does_not_start(target);
        }
        EXPECT_EQ(error.kind(), ErrorKind::refused) << error.what();
        EXPECT_NE(error.message().find("systemctl show -p LoadState"), std::string::npos)
            << error.what();
        EXPECT_NE(error.message().find("Failed to connect to bus"), std::string::npos)
            << error.what();
        EXPECT_NE(error.hint().find("run this again"), std::string::npos) << error.hint();
    }
    // Nobody would be the primary.
    start_server(target, env, env.deadline, StartWhere::anywhere);
    EXPECT_TRUE(server_is_running(target, env.deadline));
    stop_server(target, env, env.deadline);
    ASSERT_TRUE(machine.run({"mv", socket + ".away", socket}).ok());
    // A look of before, which did not tell.
    EXPECT_NE(target.report.unit_unknown, "");
    start_server(target, env, env.deadline);
    EXPECT_EQ(unit_of_server(), unit());
}

TEST_F(SystemdUnit, ASystemdThatHangsIsNoMachineWithoutUnits) {
    create_red_hat_server();
    boot(true);
    // Root asks without the bus.
    ASSERT_TRUE(machine.run({"systemctl", "start", "dbus.service"}).ok());
    ASSERT_TRUE(machine.run({"systemctl", "kill", "--signal=STOP", "dbus.service"}).ok());
    Target target = look();
    EXPECT_EQ(target.report.systemd_unit, "");
    EXPECT_NE(target.report.unit_unknown.find("exit code 124"), std::string::npos)
        << target.report.unit_unknown;
    ASSERT_TRUE(machine.run({"systemctl", "kill", "--signal=CONT", "dbus.service"}).ok());
    start_server(target, env, env.deadline);
    EXPECT_EQ(unit_of_server(), unit());
}

// Files whose names are those of no unit are none that systemd does not answer about.
TEST_F(SystemdUnit, WhatIsNoUnitIsPassedOver) {
    create_red_hat_server();
    machine.add_unit("postgresql@.service.d/data.conf",
                     "[Service]\nEnvironment=\"PGDATA=" + directory + "\"\n");
    machine.add_unit("a copy (2).service",
                     "[Service]\nEnvironment=\"PGDATA=" + directory + "\"\nExecStart=/bin/true\n");
    root({"mv", account.home + "/machine/etc/" + unit(), account.home + "/machine/etc/gone"});
    boot(true);
    Target target = look();
    EXPECT_EQ(target.report.systemd_unit, "");
    EXPECT_EQ(target.report.unit_unknown, "");
    start_server(target, env, env.deadline);
    EXPECT_TRUE(server_is_running(target, env.deadline));
    stop_server(target, env, env.deadline);
}

}  // namespace
}  // namespace hooks::harness
