#include "common/core/server_control.h"

#include <gtest/gtest.h>

#include "common/core/node_report.h"

namespace hooks {
namespace {

ServerLayout plain() {
    ServerLayout layout;
    layout.data_directory = "/data";
    layout.bin_dir = "/opt/pg/bin";
    return layout;
}

ServerLayout debian() {
    ServerLayout layout = plain();
    layout.data_directory = "/var/lib/postgresql/15/main";
    layout.bin_dir = "/usr/lib/postgresql/15/bin";
    layout.debian_cluster = "15/main";
    return layout;
}

ServerLayout debian_with_systemd() {
    ServerLayout layout = debian();
    layout.systemd_unit = "postgresql@15-main.service";
    return layout;
}

ServerLayout red_hat() {
    ServerLayout layout = plain();
    layout.data_directory = "/var/lib/pgsql/15/data";
    layout.bin_dir = "/usr/pgsql-15/bin";
    layout.systemd_unit = "postgresql-15.service";
    return layout;
}

// One command a line, with who is asked.
std::string text(const std::vector<ControlCommand>& commands) {
    std::string out;
    for (const ControlCommand& command : commands) {
        out += std::string(to_string(command.by)) + ":";
        for (const std::string& word : command.words) {
            out += " " + word;
        }
        out += "\n";
    }
    return out;
}

TEST(ServerControl, APlainServerIsStartedAndStoppedByPgCtl) {
    EXPECT_EQ(text(start_commands(plain())), "pg_ctl: /opt/pg/bin/pg_ctl -D /data -W -s start\n");
    EXPECT_EQ(text(stop_commands(plain(), "fast", "30")),
              "pg_ctl: /opt/pg/bin/pg_ctl -D /data -m fast -w -t 30 -s stop\n");
    EXPECT_EQ(text(stop_commands(plain(), "immediate", "5")),
              "pg_ctl: /opt/pg/bin/pg_ctl -D /data -m immediate -w -t 5 -s stop\n");
}

TEST(ServerControl, WhatAShellWouldReadInANameIsLeftToTheEnvironment) {
    for (const char* name : {"/a$b", "/a`b", "/a\"b", "/a\\b"}) {
        ServerLayout layout = plain();
        layout.data_directory = name;
        EXPECT_EQ(text(start_commands(layout)), "pg_ctl: /opt/pg/bin/pg_ctl -W -s start\n");
    }
    ServerLayout blank = plain();
    blank.data_directory = "/a b";
    EXPECT_EQ(start_commands(blank).at(0).words.at(2), "/a b");
}

TEST(ServerControl, ADebianClusterIsStartedAndStoppedByPgCtlcluster) {
    EXPECT_EQ(text(start_commands(debian())), "pg_ctlcluster: pg_ctlcluster 15 main start\n");
    EXPECT_EQ(text(stop_commands(debian(), "fast", "30")),
              "pg_ctlcluster: pg_ctlcluster 15 main stop -m fast -- -t 30\n");
    EXPECT_EQ(text(stop_commands(debian(), "immediate", "30")),
              "pg_ctlcluster: pg_ctlcluster 15 main stop -m immediate -- -t 30\n");
}

TEST(ServerControl, AUnitIsStartedByNobodyButSystemd) {
    EXPECT_EQ(text(start_commands(debian_with_systemd())),
              "systemd: systemctl --no-ask-password start postgresql@15-main.service\n"
              "systemd: sudo -n systemctl start postgresql@15-main.service\n");
    EXPECT_EQ(text(start_commands(red_hat())),
              "systemd: systemctl --no-ask-password start postgresql-15.service\n"
              "systemd: sudo -n systemctl start postgresql-15.service\n");
}

TEST(ServerControl, AUnitIsStoppedFirstAndWhatStillRunsIsStoppedItself) {
    EXPECT_EQ(text(stop_commands(debian_with_systemd(), "fast", "30")),
              "systemd: systemctl --no-ask-password stop postgresql@15-main.service\n"
              "systemd: sudo -n systemctl stop postgresql@15-main.service\n"
              "pg_ctlcluster: pg_ctlcluster 15 main stop -m fast -- -t 30\n");
    EXPECT_EQ(text(stop_commands(red_hat(), "fast", "30")),
              "systemd: systemctl --no-ask-password stop postgresql-15.service\n"
              "systemd: sudo -n systemctl stop postgresql-15.service\n"
              "pg_ctl: /usr/pgsql-15/bin/pg_ctl -D /var/lib/pgsql/15/data -m fast -w -t 30 -s "
              "stop\n");
    EXPECT_EQ(text(stop_commands(red_hat(), "immediate", "30")),
              "pg_ctl: /usr/pgsql-15/bin/pg_ctl -D /var/lib/pgsql/15/data -m immediate -w -t 30 -s "
              "stop\n");
}

TEST(ServerControl, AtAnyPriceItIsStartedWithoutItsUnit) {
    EXPECT_EQ(text({start_without_unit(debian_with_systemd())}),
              "pg_ctlcluster: pg_ctlcluster 15 main start\n");
    EXPECT_EQ(text({start_without_unit(red_hat())}),
              "pg_ctl: /usr/pgsql-15/bin/pg_ctl -D /var/lib/pgsql/15/data -W -s start\n");
}

TEST(ServerControl, CommandsOfTheConfigurationComeBeforeAllElse) {
    for (ServerLayout layout : {plain(), debian(), debian_with_systemd(), red_hat()}) {
        layout.start_command = "start it";
        layout.stop_command = "stop it";
        EXPECT_EQ(text(start_commands(layout)), "hooks.conf: /bin/sh -c start it\n");
        EXPECT_EQ(text(stop_commands(layout, "fast", "30")), "hooks.conf: /bin/sh -c stop it\n");
        EXPECT_NE(text(stop_commands(layout, "immediate", "30")).find("-m immediate"),
                  std::string::npos);
    }
}

TEST(ServerControl, ARefusalIsToldFromAFailure) {
    EXPECT_TRUE(is_denial(1, "Failed to start x.service: Interactive authentication required.\n"));
    EXPECT_TRUE(is_denial(4, "Failed to start x.service: Access denied\n"));
    EXPECT_TRUE(is_denial(1, "sudo: a password is required\n"));
    EXPECT_TRUE(is_denial(1, "sudo: sorry, you must have a tty to run sudo\n"));
    EXPECT_TRUE(is_denial(1, "pg is not in the sudoers file.\n"));
    EXPECT_FALSE(is_denial(1,
                           "sudo: unable to resolve host db1: Name or service not known\n"
                           "Job for postgresql-15.service failed.\n"));
    EXPECT_TRUE(is_denial(127, "/bin/sh: 5: exec: sudo: not found\n"));
    EXPECT_FALSE(is_denial(0, ""));
    EXPECT_FALSE(is_denial(1,
                           "Job for postgresql-15.service failed because the control process "
                           "exited with error code.\n"));
    EXPECT_FALSE(is_denial(5, "Failed to start x.service: Unit x.service not found.\n"));
}

// Only what is so already is asked for: a start of a server that is stopped, or the other way
// round, would come before its time.
TEST(ServerControl, ThePermissionIsTriedWithoutAnEffect) {
    const auto verbs = [](const ServerLayout& layout, const char* state, bool runs = true) {
        std::string out;
        for (const ControlCommand& command : permission_probes(layout, {state, runs}, runs)) {
            out += command.words.at(command.words.size() - 2) + " ";
        }
        return out;
    };
    for (const char* up : {"active", "activating", "reloading"}) {
        EXPECT_EQ(verbs(red_hat(), up), "start start ") << up;
        EXPECT_EQ(verbs(red_hat(), up, false), "") << up << ": it would be started at once";
    }
    EXPECT_EQ(verbs(red_hat(), "inactive"), "stop stop ");
    EXPECT_EQ(verbs(red_hat(), "failed"), "stop stop ");
    EXPECT_EQ(verbs(red_hat(), "failed", false), "stop stop ");
    EXPECT_EQ(text(permission_probes(red_hat(), {"inactive", false}, false)),
              "systemd: systemctl --job-mode=ignore-dependencies --no-ask-password stop "
              "postgresql-15.service\n"
              "systemd: sudo -n systemctl stop postgresql-15.service\n");
    EXPECT_EQ(verbs(red_hat(), "deactivating"), "");
    EXPECT_EQ(verbs(red_hat(), ""), "");
    ServerLayout configured = red_hat();
    configured.start_command = "start it";
    EXPECT_EQ(verbs(configured, "active"), "");
    EXPECT_EQ(verbs(ServerLayout{"/srv/pg", "/usr/bin", "", "", "", ""}, "active"), "");
}

TEST(ServerControl, TheStateOfAUnitIsReadInAnyOrder) {
    const UnitState runs = parse_unit_state("MainPID=4711\nActiveState=active\n");
    EXPECT_EQ(runs.active, "active");
    EXPECT_TRUE(runs.main_process);
    const UnitState exited = parse_unit_state("ActiveState=active\nMainPID=0\n");
    EXPECT_EQ(exited.active, "active");
    EXPECT_FALSE(exited.main_process);
    EXPECT_FALSE(exited.at_rest());
    EXPECT_TRUE(parse_unit_state("ActiveState=failed\nMainPID=0\n").at_rest());
    EXPECT_EQ(parse_unit_state("").active, "");
    EXPECT_FALSE(parse_unit_state("").at_rest());
}

TEST(ServerControl, TellsWhatToPermit) {
    EXPECT_NE(how_to_permit(red_hat(), "postgres")
                  .find("postgres ALL=(root) NOPASSWD: /usr/bin/systemctl start "
                        "postgresql-15.service, /usr/bin/systemctl stop postgresql-15.service"),
              std::string::npos);
}

// As systemctl 252 shows them.
const char* const pgdg =
    "postgresql-15.service: Environment=PGDATA=/var/lib/pgsql/15/data/ "
    "PG_OOM_ADJUST_FILE=/proc/self"
    "/oom_score_adj ExecStart={ path=/usr/pgsql-15/bin/postmaster ; argv[]=/usr/pgsql-15/bin/"
    "postmaster -D ${PGDATA} ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) } ";
const char* const by_option =
    "db.service: Environment= ExecStart={ path=/usr/local/pgsql/bin/postgres ; "
    "argv[]=/usr/local/pgsql/bin/postgres -D /srv/pg ; ignore_errors=no } ";
const char* const archiver =
    "archive.service: Environment=PGDATA=/srv/pg ExecStart={ path=/usr/bin/pgbackrest ; "
    "argv[]=/usr/bin/pgbackrest --pg1-path=/srv/pg backup ; ignore_errors=no } ";
const char* const with_blank =
    "blank.service: Environment=\"PGDATA=/srv/p g\" ExecStart={ path=/usr/bin/postgres ; "
    "argv[]=/usr/bin/postgres ; ignore_errors=no } ";

TEST(ServerControl, FindsTheUnitThatRunsADirectory) {
    const std::vector<std::string> units = {archiver, with_blank, pgdg, by_option};
    EXPECT_EQ(unit_of_directory(units, {"/var/lib/pgsql/15/data"}), "postgresql-15.service");
    EXPECT_EQ(unit_of_directory(units, {"/link", "/var/lib/pgsql/15/data"}),
              "postgresql-15.service");
    EXPECT_EQ(unit_of_directory(units, {"/srv/pg"}), "db.service");
    EXPECT_EQ(unit_of_directory(units, {"/srv/p g"}), "blank.service");
    const std::string command =
        "blank.service: ExecStart={ path=/usr/bin/postgres ; "
        "argv[]=/usr/bin/postgres -D /srv/p g -c x=y ; ignore_errors=no }";
    EXPECT_EQ(unit_of_directory({command}, {"/srv/p g"}), "blank.service");
    EXPECT_EQ(unit_of_directory({command}, {"/srv/p"}), "");
    for (const char* other : {"/srv/p", "/srv", "/var/lib/pgsql/15", "/var/lib/pgsql/15/data2",
                              "/lib/pgsql/15/data", ""}) {
        EXPECT_EQ(unit_of_directory(units, {other}), "") << other;
    }
    EXPECT_EQ(unit_of_directory({"", "x", "x.service: "}, {"/srv/pg"}), "");
    const auto by_pg_ctl = [](const std::string& verb) {
        return unit_of_directory({"x.service: ExecStart={ path=/usr/pgsql-15/bin/pg_ctl ; "
                                  "argv[]=/usr/pgsql-15/bin/pg_ctl " +
                                  verb + " -D /srv/pg ; ignore_errors=no }"},
                                 {"/srv/pg"});
    };
    EXPECT_EQ(by_pg_ctl("start"), "x.service");
    EXPECT_EQ(by_pg_ctl("reload"), "");
    EXPECT_EQ(unit_of_directory({"x.service: Environment=PGDATA=/srv/postgres ExecStart={ "
                                 "path=/usr/bin/pgbackrest ; argv[]=/usr/bin/pgbackrest "
                                 "--pg1-path=/srv/postgres backup ; ignore_errors=no }"},
                                {"/srv/postgres"}),
              "");
}

// The layout as a look at the node tells it.
TEST(ServerControl, TheReportNamesTheUnit) {
    const std::string head = "user: pg\ndirectory: /var/lib/pgsql/15/data\n";
    EXPECT_EQ(parse_node_report(head + "unit: " + pgdg + "\nend: report\n").systemd_unit,
              "postgresql-15.service");
    EXPECT_EQ(parse_node_report(head + "unit: " + by_option + "\nend: report\n").systemd_unit, "");
    const NodeReport report = parse_node_report(
        "user: pg\ndebian_cluster: 15/main\nserver_log: /var/log/postgresql/x.log\n"
        "debian_unit: postgresql@15-main.service\ndirectory: /var/lib/pgsql/15/data\nunit: " +
        std::string(pgdg) + "\nend: report\n");
    EXPECT_EQ(report.systemd_unit, "postgresql@15-main.service");
    EXPECT_EQ(report.server_log, "/var/log/postgresql/x.log");
}

TEST(ServerControl, ThatSystemdDidNotAnswerCountsOnlyWhereNoUnitIsKnown) {
    const std::string silent = "unit_unknown: systemctl show -p LoadState x.service: exit code 1\n";
    const NodeReport unknown = parse_node_report("user: pg\n" + silent + "end: report\n");
    EXPECT_EQ(unknown.systemd_unit, "");
    EXPECT_EQ(unknown.unit_unknown, "systemctl show -p LoadState x.service: exit code 1");
    const NodeReport known = parse_node_report(
        "user: pg\n" + silent + "directory: /var/lib/pgsql/15/data\nunit: " + std::string(pgdg) +
        "\nend: report\n");
    EXPECT_EQ(known.systemd_unit, "postgresql-15.service");
    EXPECT_EQ(known.unit_unknown, "");
}

}  // namespace
}  // namespace hooks
