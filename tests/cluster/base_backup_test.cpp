// A base backup on whatever a data directory may look like, by every policy, cut off anywhere.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

ClusterOptions two_nodes() {
    ClusterOptions options = by_hand();
    options.nodes = 2;
    options.with_pgpool = false;
    // Little WAL, so that small filesystems do.
    options.postgres_settings["max_wal_size"] = "64MB";
    options.postgres_settings["min_wal_size"] = "32MB";
    return options;
}

class BaseBackup : public testing::Test {
  protected:
    BaseBackup() : cluster(two_nodes()) {}
    void SetUp() override { cluster.start(); }
    // The files of the cluster could not be removed otherwise.
    void TearDown() override {
        for (const std::string& path : mounts) {
            EXPECT_EQ(::umount2(path.c_str(), MNT_DETACH), 0) << path;
        }
    }

    Cluster cluster;
    std::vector<std::string> mounts;

    std::string node() const { return cluster.base_directory() + "/node1"; }
    std::string data() const { return cluster.data_directory(1); }
    std::string work() const { return data() + ".pgpool-hooks"; }
    std::string owner() const { return cluster.account().name; }

    std::string shell(const std::string& line) {
        const Outcome outcome = cluster.run_shell("set -e; " + line);
        EXPECT_TRUE(outcome.ok()) << line << ": " << outcome.err;
        return outcome.out;
    }
    // As root, who mounts and who owns what the server does not.
    void root(const std::string& line) {
        Command command;
        command.argv = {"/bin/sh", "-ec", line};
        const Outcome outcome = run_process(command, Deadline::after(seconds(60)));
        ASSERT_TRUE(outcome.ok()) << line << ": " << outcome.describe();
    }
    bool exists(const std::string& path) const { return fs::exists(fs::symlink_status(path)); }
    void add_to_hooks_conf(const std::string& line) {
        shell("echo \"" + line + "\" >>" + cluster.hooks_conf_path());
    }

    // Stopped, and without any way to follow: its slot is gone, and so is the WAL that it needs.
    void leave_behind() {
        cluster.stop_postgres(1);
        cluster.sql(0, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
        cluster.sql(0, "CREATE TABLE public.later AS SELECT 1 AS one");
        for (int i = 0; i < 5; ++i) {
            cluster.sql(0, "CREATE TABLE public.t AS SELECT 1; DROP TABLE public.t");
            cluster.sql(0, "SELECT pg_switch_wal()");
            cluster.sql(0, "CHECKPOINT");
        }
    }
    // What stands at `path` goes to a filesystem of its own.
    void move_to_a_mount(const std::string& path, const std::string& size) {
        root("mv " + path + " " + path + ".moved && mkdir " + path +
             " && mount -t tmpfs -o size=" + size + " tmpfs " + path + " && chown " + owner() +
             ": " + path + " && chmod 700 " + path + " && cp -a " + path + ".moved/. " + path +
             " && rm -r " + path + ".moved && mkdir -m 0700 " + path + "/lost+found");
        mounts.push_back(path);
    }

    Outcome first_stage() const {
        return cluster.run_hook(
            "recovery_1st_stage",
            {"--config", cluster.hooks_conf_path(), cluster.data_directory(0), cluster.host(1),
             cluster.data_directory(1), std::to_string(cluster.port(0)), "1",
             std::to_string(cluster.port(1)), cluster.host(0)});
    }
    Outcome remote_start() const {
        return cluster.run_hook(
            "pgpool_remote_start",
            {"--config", cluster.hooks_conf_path(), cluster.host(1), cluster.data_directory(1)});
    }
    void expect_rebuilt(const std::string& rule = "rule=R09") {
        const Outcome first = first_stage();
        EXPECT_EQ(first.exit_code, 0) << first.err;
        EXPECT_NE(first.err.find(rule), std::string::npos) << first.err;
        expect_proved();
    }
    void expect_proved() {
        const Outcome started = remote_start();
        EXPECT_EQ(started.exit_code, 0) << started.err;
        EXPECT_EQ(cluster.streaming_problem(1), "") << started.err;
        EXPECT_EQ(cluster.sql_value(1, "SELECT count(*) FROM public.later"), "1");
        expect_clean(work());
    }
    // Nothing is left of the base backup, or of what was there before.
    void expect_clean(const std::string& room) {
        for (const char* name : {"/incoming", "/previous", "/discarded", "/swap", "/swapped",
                                 "/old", "/rooms", "/backup-unfinished"}) {
            EXPECT_FALSE(exists(room + name)) << room << name;
        }
    }
    void expect_refused(const std::string& text) {
        const Outcome first = first_stage();
        EXPECT_EQ(first.exit_code, 3) << first.err;
        EXPECT_NE(first.err.find("rule=R10"), std::string::npos) << first.err;
        EXPECT_NE(first.err.find(text), std::string::npos) << first.err;
    }
    std::string listing() {
        return shell("cd " + data() + " && find . -type f | sort | xargs cksum | cksum");
    }
};

// --- layouts ---

TEST_F(BaseBackup, SaysWhatItNeedsAndWhatIsFreeBeforeItBegins) {
    leave_behind();
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    const std::size_t forecast = first.err.find("forecast=\"expected ");
    EXPECT_NE(forecast, std::string::npos) << first.err;
    EXPECT_NE(first.err.find(" beside " + data()), std::string::npos) << first.err;
    EXPECT_LT(forecast, first.err.find("step done")) << first.err;
    expect_proved();
}

TEST_F(BaseBackup, FilesThatAreNotPostgresStayAndSoDoesTheModeOfTheDirectory) {
    leave_behind();
    shell("cd " + data() +
          " && mkdir archive && echo 1 >archive/wal && echo mine >my.sh && "
          "echo key >server.key && chmod 600 server.key && echo \"work_mem = '7MB'\" "
          ">>postgresql.conf && echo extra >extra.conf && chmod 750 .");
    expect_rebuilt();
    EXPECT_EQ(shell("cd " + data() +
                    " && cat archive/wal my.sh server.key extra.conf && "
                    "stat -c %a . server.key"),
              "1\nmine\nkey\nextra\n750\n600\n");
    EXPECT_EQ(cluster.sql_value(1, "SHOW work_mem"), "7MB");
}

TEST_F(BaseBackup, ADataDirectoryBehindASymbolicLinkStaysBehindIt) {
    leave_behind();
    shell("mkdir -p " + node() + "/disk && cp " + node() + "/node.conf " + node() +
          "/disk/ && mv " + data() + " " + node() + "/disk/data && ln -s disk/data " + data());
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_TRUE(exists(node() + "/disk/data.pgpool-hooks/previous/PG_VERSION"));
    expect_proved();
    EXPECT_EQ(shell("readlink " + data()), "disk/data\n");
    EXPECT_FALSE(exists(node() + "/disk/data.pgpool-hooks"));
}

TEST_F(BaseBackup, ADataDirectoryThatIsAMountPointIsFilledFromWithin) {
    leave_behind();
    move_to_a_mount(data(), "600M");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_TRUE(exists(data() + "/pgsql_tmp.pgpool-hooks/previous/PG_VERSION"));
    expect_proved();
    EXPECT_FALSE(exists(data() + "/pgsql_tmp.pgpool-hooks"));
    EXPECT_TRUE(exists(data() + "/lost+found"));

    // Wiped, a lost+found is no reason to take it for somebody else's.
    cluster.stop_postgres(1);
    shell("cd " + data() + " && ls -A | grep -vx lost+found | xargs rm -r");
    expect_rebuilt();
}

TEST_F(BaseBackup, ADirectoryInWhichNothingCanBeMadeBesideTheDataDoesAsWell) {
    leave_behind();
    root("chown root " + node());
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_FALSE(exists(work()));
    EXPECT_TRUE(exists(data() + "/pgsql_tmp.pgpool-hooks/previous/PG_VERSION"));
    expect_proved();
    EXPECT_FALSE(exists(data() + "/pgsql_tmp.pgpool-hooks"));
    root("chown " + owner() + " " + node());
}

TEST_F(BaseBackup, WalOnAnotherDiskStaysThere) {
    leave_behind();
    const std::string disk = node() + "/waldisk";
    shell("mkdir " + disk + " && mv " + data() + "/pg_wal " + disk +
          "/wal && ln -s ../waldisk/wal " + data() + "/pg_wal && echo mine >" + disk + "/wal/note");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_EQ(shell("readlink " + data() + "/pg_wal"), "../waldisk/wal\n");
    EXPECT_NE(shell("ls " + disk + "/wal/pgsql_tmp.pgpool-hooks/previous"), "");
    expect_proved();
    EXPECT_FALSE(exists(disk + "/wal/pgsql_tmp.pgpool-hooks"));
    EXPECT_TRUE(exists(disk + "/wal/note"));
}

TEST_F(BaseBackup, AMountedPgWalStaysMounted) {
    leave_behind();
    const std::string wal = data() + "/pg_wal";
    move_to_a_mount(wal, "300M");
    expect_rebuilt();
    EXPECT_TRUE(shell("mountpoint " + wal).starts_with(wal + " is"));
    EXPECT_FALSE(exists(wal + "/pgsql_tmp.pgpool-hooks"));
}

TEST_F(BaseBackup, TablespacesGetAPlaceOfTheirOwnAndKeepIt) {
    const std::string there = cluster.base_directory() + "/node0/space";
    const std::string here = node() + "/spaces/one";
    leave_behind();
    shell("mkdir " + there);
    cluster.sql(0, "CREATE TABLESPACE space LOCATION '" + there + "'");
    cluster.sql(0,
                "CREATE TABLE public.wide TABLESPACE space AS SELECT generate_series(1, 5000) a");
    cluster.sql(0, "CHECKPOINT");
    const std::string before = listing();
    // Both nodes are on one machine.
    expect_refused("which holds one of");
    EXPECT_EQ(listing(), before);

    add_to_hooks_conf("1.tablespace_map = '" + there + "=" + here + "'");
    expect_rebuilt();
    EXPECT_EQ(cluster.sql_value(1, "SELECT count(*) FROM public.wide"), "5000");
    EXPECT_EQ(shell("readlink " + data() + "/pg_tblspc/*"), here + "\n");
    EXPECT_FALSE(exists(here + "/pgsql_tmp.pgpool-hooks"));

    // What it had counts without the map as well, and is kept until the proof.
    shell("sed -i /tablespace_map/d " + cluster.hooks_conf_path());
    cluster.sql(0, "DROP TABLE public.later");
    leave_behind();
    cluster.sql(0, "INSERT INTO public.wide SELECT 1");
    const Outcome again = first_stage();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(shell("ls " + here + "/pgsql_tmp.pgpool-hooks/previous"), "");
    expect_proved();
    EXPECT_EQ(cluster.sql_value(1, "SELECT count(*) FROM public.wide"), "5001");
    EXPECT_EQ(shell("readlink " + data() + "/pg_tblspc/*"), here + "\n");
    EXPECT_FALSE(exists(here + "/pgsql_tmp.pgpool-hooks"));
    EXPECT_EQ(cluster.sql_value(0, "SELECT count(*) FROM public.wide"), "5001");
}

// --- space ---

TEST_F(BaseBackup, WhatDoesNotFitIsRefusedWithTheNumbersAndNothingIsTouched) {
    leave_behind();
    move_to_a_mount(data(), "105M");
    const std::string before = listing();
    expect_refused("a base backup does not fit");
    EXPECT_EQ(listing(), before);
    cluster.start_postgres(1);
    cluster.stop_postgres(1);

    add_to_hooks_conf("base_backup = 'keep_if_space'");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_NE(first.err.find("in place of its old data"), std::string::npos) << first.err;
    expect_proved();
}

TEST_F(BaseBackup, ADiskThatFillsUpMidwayLeavesTheOldDataStartable) {
    leave_behind();
    move_to_a_mount(data(), "600M");
    const std::string programs = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    shell("mkdir " + programs + " && ln -s " + real + "/* " + programs + "/ && rm " + programs +
          "/pg_basebackup && printf '#!/bin/sh\\ncat /dev/zero >" + data() +
          "/filler 2>/dev/null\\nexec " + real + "/pg_basebackup \"$@\"\\n' >" + programs +
          "/pg_basebackup && chmod 755 " + programs + "/pg_basebackup");
    add_to_hooks_conf("1.postgres_bin_dir = '" + programs + "'");
    const std::string before = listing();
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 5) << first.err;
    EXPECT_NE(first.err.find("No space left on device"), std::string::npos) << first.err;
    EXPECT_NE(first.err.find("the old data is untouched"), std::string::npos) << first.err;
    EXPECT_NE(first.err.find("before it began: expected "), std::string::npos) << first.err;
    shell("rm " + data() + "/filler");
    EXPECT_FALSE(exists(data() + "/pgsql_tmp.pgpool-hooks/incoming"));
    EXPECT_EQ(listing(), before);
    shell("rm " + programs + "/pg_basebackup && ln -s " + real + "/pg_basebackup " + programs);
    expect_rebuilt();
}

// A source that is frozen answers nothing, and breaks no connection.
TEST_F(BaseBackup, ACopyOfWhichNothingMoreComesIsEnded) {
    leave_behind();
    const std::string programs = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    shell("mkdir " + programs + " && ln -s " + real + "/* " + programs + "/ && rm " + programs +
          "/pg_basebackup && printf '#!/bin/sh\\nexec sleep 300\\n' >" + programs +
          "/pg_basebackup && chmod 755 " + programs + "/pg_basebackup");
    add_to_hooks_conf("1.postgres_bin_dir = '" + programs + "'");
    add_to_hooks_conf("stall_timeout = '2s'");
    const std::string before = listing();
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 5) << first.err;
    EXPECT_NE(first.err.find("nothing moved for 2 s"), std::string::npos) << first.err;
    EXPECT_NE(first.err.find("the old data is untouched"), std::string::npos) << first.err;
    EXPECT_EQ(listing(), before);
    shell("rm " + programs + "/pg_basebackup && ln -s " + real + "/pg_basebackup " + programs);
    expect_rebuilt();
}

// --- in place ---

TEST_F(BaseBackup, InPlaceTheOldDataStaysUntilTheCopyArrives) {
    leave_behind();
    add_to_hooks_conf("base_backup = 'in_place'");
    const std::string before = listing();
    cluster.sql(0, "ALTER ROLE repl NOREPLICATION");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 5) << first.err;
    EXPECT_NE(first.err.find("the old data is untouched"), std::string::npos) << first.err;
    EXPECT_EQ(listing(), before);
    cluster.sql(0, "ALTER ROLE repl REPLICATION");
    shell("echo mine >" + data() + "/my.sh");
    const Outcome again = first_stage();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.err.find("the old data is removed"), std::string::npos) << again.err;
    EXPECT_FALSE(exists(work() + "/previous/PG_VERSION"));
    expect_proved();
    EXPECT_EQ(shell("cat " + data() + "/my.sh"), "mine\n");
}

TEST_F(BaseBackup, InPlaceCutOffMidwayNothingCanBeStartedAndTheNextRunBuildsIt) {
    const std::string there = cluster.base_directory() + "/node0/space";
    const std::string here = node() + "/space";
    leave_behind();
    shell("mkdir " + there);
    cluster.sql(0, "CREATE TABLESPACE space LOCATION '" + there + "'");
    cluster.sql(0, "CREATE TABLE public.wide TABLESPACE space AS SELECT generate_series(1, 10) a");
    cluster.sql(0, "CHECKPOINT");
    add_to_hooks_conf("1.tablespace_map = '" + there + "=" + here + "'");
    expect_rebuilt();
    shell("sed -i /tablespace_map/d " + cluster.hooks_conf_path());
    cluster.sql(0, "DROP TABLE public.later");
    leave_behind();
    shell("cd " + data() + " && echo \"work_mem = '7MB'\" >>postgresql.conf && mv pg_wal " +
          node() + "/waldisk && ln -s ../waldisk pg_wal");
    add_to_hooks_conf("base_backup = 'in_place'");
    const std::string programs = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    // Ends as one that was killed does, when the old data is gone.
    shell("mkdir " + programs + " && ln -s " + real + "/* " + programs + "/ && rm " + programs +
          "/pg_basebackup && printf '#!/bin/sh\\nmkdir -p " + work() + "/incoming && echo 1 >" +
          work() + "/incoming/x\\nwhile [ -e " + data() +
          "/base ]; do sleep 0.05; done\\nexit 9\\n' >" + programs +
          "/pg_basebackup && chmod 755 " + programs + "/pg_basebackup");
    add_to_hooks_conf("1.postgres_bin_dir = '" + programs + "'");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 6) << first.err;
    EXPECT_NE(first.err.find("the old data was removed"), std::string::npos) << first.err;
    EXPECT_TRUE(exists(work() + "/backup-unfinished"));
    EXPECT_NE(remote_start().exit_code, 0);
    EXPECT_FALSE(cluster.postgres_runs(1));
    // What the first attempt left behind is the node's own all the same.
    EXPECT_FALSE(exists(data() + "/pg_wal"));
    EXPECT_FALSE(exists(data() + "/pg_tblspc"));
    shell("rm " + programs + "/pg_basebackup && ln -s " + real + "/pg_basebackup " + programs);
    expect_rebuilt();
    EXPECT_EQ(cluster.sql_value(1, "SHOW work_mem"), "7MB");
    EXPECT_EQ(shell("readlink " + data() + "/pg_wal"), "../waldisk\n");
    EXPECT_EQ(shell("readlink " + data() + "/pg_tblspc/*"), here + "\n");
    EXPECT_EQ(cluster.sql_value(1, "SELECT count(*) FROM public.wide"), "10");
    EXPECT_EQ(cluster.sql_value(0, "SELECT count(*) FROM public.wide"), "10");
}

// --- cut off ---

// A mv in front of the real one, which kills the script that called it before its Nth move.
TEST_F(BaseBackup, ASwapThatIsKilledBeforeAnyOfItsMovesIsFinishedByTheNextRun) {
    leave_behind();
    const std::string shim = cluster.base_directory() + "/shim";
    const std::string count = cluster.base_directory() + "/moves";
    shell("mkdir " + shim + " && printf '#!/bin/sh\\necho x >>" + count + "\\nif [ \"$(wc -l <" +
          count + ")\" -ge \"$(cat " + count +
          ".limit)\" ]; then kill -9 $PPID; exit 1; fi\\nexec /bin/mv \"$@\"\\n' >" + shim +
          "/mv && chmod 755 " + shim + "/mv && echo 'export PATH=" + shim + ":$PATH' >" +
          cluster.account().home + "/.bashrc");
    const auto first_stage_until = [&](int limit) {
        shell(": >" + count + " && echo " + std::to_string(limit) + " >" + count + ".limit");
        return first_stage();
    };
    // Each run gets further than the one before it; nothing is ever startable in between. (That
    // any boundary will do is a unit test's to show.)
    int runs = 0;
    for (int limit = 2;; limit += 9) {
        const Outcome outcome = first_stage_until(limit);
        if (outcome.exit_code == 0) {
            break;
        }
        ++runs;
        ASSERT_LT(runs, 12) << outcome.err;
        if (exists(work() + "/swap")) {
            EXPECT_FALSE(exists(data() + "/PG_VERSION") &&
                         exists(work() + "/previous/PG_VERSION") &&
                         exists(work() + "/incoming/PG_VERSION"));
            if (!exists(data() + "/PG_VERSION")) {
                EXPECT_TRUE(exists(work() + "/previous/PG_VERSION"));
                EXPECT_EQ(remote_start().exit_code, 3) << "at move " << limit;
            }
        }
    }
    EXPECT_GE(runs, 3);
    shell("rm " + shim + "/mv");
    expect_proved();
}

// Pgpool's connection broke, say, and pcp_recovery_node is called again before anybody started it.
TEST_F(BaseBackup, ThatWasNeverStartedIsNotMadeAgain) {
    leave_behind();
    ASSERT_EQ(first_stage().exit_code, 0);
    shell("echo copied >" + data() + "/base/copied");
    const Outcome again = first_stage();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.err.find("rule=R06"), std::string::npos) << again.err;
    EXPECT_EQ(again.err.find("lost: WAL"), std::string::npos) << again.err;
    EXPECT_TRUE(exists(data() + "/base/copied"));
    EXPECT_TRUE(exists(work() + "/previous/PG_VERSION")) << "until it is proved";
    expect_proved();
}

// One that took the place of another that was never started: what was thrown away, and in which
// order, must not make the next run take the new files for the old ones.
TEST_F(BaseBackup, ThatIsCutOffWhileItThrowsAwayAnUnstartedOneStays) {
    leave_behind();
    ASSERT_EQ(first_stage().exit_code, 0);
    cluster.sql(0, "DROP TABLE public.later");
    leave_behind();
    // Kills the script that called it when the files of the first are gone.
    const std::string shim = cluster.base_directory() + "/shim";
    shell("mkdir " + shim +
          " && printf '#!/bin/sh\\n/bin/rm \"$@\"\\ncase $3 in */discarded) kill -9 $PPID ;; "
          "esac\\n' >" +
          shim + "/rm && chmod 755 " + shim + "/rm && echo 'export PATH=" + shim + ":$PATH' >" +
          cluster.account().home + "/.bashrc");
    const Outcome cut = first_stage();
    EXPECT_NE(cut.exit_code, 0) << cut.err;
    EXPECT_FALSE(exists(work() + "/discarded"));
    EXPECT_FALSE(exists(work() + "/swap")) << "nobody reads the journal again";
    EXPECT_TRUE(exists(data() + "/PG_VERSION"));
    shell("rm " + shim + "/rm; echo copied >" + data() + "/base/copied");
    const Outcome again = first_stage();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.err.find("rule=R06"), std::string::npos) << again.err;
    EXPECT_TRUE(exists(data() + "/base/copied"));
    expect_proved();
}

// Started as soon as PG_VERSION was in, by a boot: what the journal says was all done.
TEST_F(BaseBackup, ThatIsStartedBeforeItsJournalEndedIsLeftAsItIs) {
    leave_behind();
    ASSERT_EQ(first_stage().exit_code, 0);
    shell("cd " + work() + " && mv swapped swap && mv previous away");
    cluster.start_postgres(1);
    const Outcome again = first_stage();
    EXPECT_NE(again.err.find("cut off while it put a base backup in place"), std::string::npos)
        << again.err;
    EXPECT_FALSE(exists(work() + "/swap"));
    EXPECT_TRUE(exists(data() + "/PG_VERSION"));
    EXPECT_FALSE(exists(work() + "/previous"));
    shell("mv " + work() + "/away " + work() + "/previous");
    expect_proved();
}

TEST_F(BaseBackup, TheLastProvedDataSurvivesAsManyRecoveriesAsItTakes) {
    leave_behind();
    shell("echo first >" + data() + "/base/first");
    ASSERT_EQ(first_stage().exit_code, 0);
    EXPECT_TRUE(exists(work() + "/previous/base/first"));
    // It was started, but by hand, and nobody saw it stream: the next one must not cost the first.
    cluster.start_postgres(1);
    cluster.stop_postgres(1);
    shell("echo second >" + data() + "/base/second");
    cluster.sql(0, "DROP TABLE public.later");
    leave_behind();
    ASSERT_EQ(first_stage().exit_code, 0);
    EXPECT_TRUE(exists(work() + "/previous/base/first"));
    EXPECT_TRUE(exists(work() + "/previous-2/base/second"));
    expect_proved();
    EXPECT_FALSE(exists(work() + "/previous-2"));
}

}  // namespace
}  // namespace hooks::harness
