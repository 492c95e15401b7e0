// A server that a systemd unit is there for ends up in that unit, on machines with a real systemd:
// Debian's postgresql@VERSION-NAME, and units as RHEL's packages have them.
#include "tests/cluster/systemd_layout.h"

namespace hooks::harness {
namespace {

TEST_F(SystemdLayout, ADebianClusterRunsInItsUnit) {
    create_debian_cluster();
    boot(true);
    expect_starts_and_stops_in("postgresql@" + version + "-main.service");
}

TEST_F(SystemdLayout, AServerOfRedHatRunsInItsUnit) {
    create_red_hat_server();
    boot(true);
    expect_starts_and_stops_in(unit());
}

TEST_F(SystemdLayout, WhereOnlySudoIsAllowedItAsksThat) {
    create_red_hat_server();
    machine.permit_sudo(account.name + " ALL=(root) NOPASSWD: /usr/bin/systemctl start " + unit() +
                        ", /usr/bin/systemctl stop " + unit() + "\n");
    boot(false);
    expect_starts_and_stops_in(unit());
}

TEST_F(SystemdLayout, AServerThatCrashedIsStartedInItsUnitAgain) {
    create_red_hat_server(true);
    boot(true);
    Target target = look();
    start_server(target, env, env.deadline);
    signal_postmaster("KILL");
    wait_until("its end", [&] { return !server_is_running(target, env.deadline); });
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
    const Error error = expect_does_not_start(target);
    EXPECT_EQ(error.kind(), ErrorKind::command) << error.what();
    EXPECT_NE(error.message().find("unrecognized configuration parameter \"no_such_setting\""),
              std::string::npos)
        << error.what();
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
    const Error error = expect_does_not_start(target);
    EXPECT_EQ(error.kind(), ErrorKind::refused) << error.what();
    EXPECT_NE(error.message().find("authentication required"), std::string::npos) << error.what();
    EXPECT_NE(error.message().find("a password is required"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("systemctl start " + unit), std::string::npos) << error.hint();
    expect_refused_beforehand(target);
    // One that an administrator started goes on.
    ASSERT_TRUE(machine.run({"systemctl", "start", unit}).ok());
    ASSERT_TRUE(server_is_running(target, env.deadline));
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
    const Error error = expect_does_not_start(target);
    EXPECT_EQ(error.kind(), ErrorKind::command) << error.what();
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
