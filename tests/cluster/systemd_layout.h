// A node whose server belongs to a systemd unit, on a machine with a real systemd.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "common/app/node_steps.h"
#include "common/core/error.h"
#include "tests/cluster/debian_clusters.h"
#include "tests/support/place.h"
#include "tests/support/systemd_machine.h"

namespace hooks::harness {

using std::chrono::seconds;

// As docs/operations.md has it.
inline constexpr const char* permit_units = R"js(
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
            machine.permit(permit_units);
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
        const std::string environment = "Environment=\"PGDATA=" + directory + "/\"\n";
        machine.add_unit(
            unit(), "[Service]\nType=notify\nUser=postgres\n" +
                        (with_drop_in ? "Environment=PGDATA=/var/lib/pgsql/data/\n" : environment) +
                        "ExecStart=" + bin +
                        "/postgres -D ${PGDATA}\nKillMode=mixed\nKillSignal=SIGINT\n");
        if (with_drop_in) {
            machine.add_unit(unit() + ".d/data.conf", "[Service]\n" + environment);
        }
        // It names the directory, too.
        machine.add_unit("archiver.service", "[Service]\nEnvironment=\"PGDATA=" + directory +
                                                 "\"\nExecStart=/bin/true\n");
    }
    std::string unit() const { return "postgresql-" + version + ".service"; }
    // A unit of an administrator's own. `lines` with ExecStart= and all else but its user.
    void create_server(const std::string& lines) {
        create_red_hat_server();
        machine.add_unit(
            unit(), "[Service]\nUser=postgres\nEnvironment=\"PGDATA=" + directory + "\"\n" + lines);
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
        check_unit_may_be_started(target, env, env.deadline);
        EXPECT_EQ(state_of(unit), "inactive\n") << "the question had an effect";
        start_server(target, env, env.deadline);
        ASSERT_TRUE(server_is_running(target, env.deadline));
        EXPECT_EQ(unit_of_server(), unit);
        EXPECT_EQ(state_of(unit), "active\n");
        const std::string since = machine.run({"cat", directory + "/postmaster.pid"}).out;
        check_unit_may_be_started(target, env, env.deadline);
        EXPECT_EQ(machine.run({"cat", directory + "/postmaster.pid"}).out, since);
        stop_server(target, env, env.deadline);
        EXPECT_FALSE(server_is_running(target, env.deadline));
        EXPECT_EQ(state_of(unit), "inactive\n");
    }
    void expect_refused_beforehand(Target& target) {
        try {
            check_unit_may_be_started(target, env, env.deadline);
            ADD_FAILURE() << "systemd lets it";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused) << error.what();
            EXPECT_NE(error.hint().find("systemctl start " + target.report.systemd_unit),
                      std::string::npos)
                << error.hint();
        }
    }
    Error expect_does_not_start(Target& target) {
        try {
            start_server(target, env, env.deadline);
        } catch (const Error& error) {
            EXPECT_FALSE(server_is_running(target, env.deadline));
            return error;
        }
        ADD_FAILURE() << "it started";
        return Error(ErrorKind::internal, "it started");
    }
    void signal_postmaster(const std::string& signal) {
        const Outcome outcome = machine.run(
            {"sh", "-c", "kill -s " + signal + " $(head -n 1 '" + directory + "/postmaster.pid')"});
        ASSERT_TRUE(outcome.ok()) << outcome.describe();
    }
    void wait_until(const std::string& what, const std::function<bool()>& reached) {
        const Deadline deadline = Deadline::after(seconds(30));
        while (!reached()) {
            ASSERT_FALSE(deadline.expired()) << what << " did not come";
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

}  // namespace hooks::harness
