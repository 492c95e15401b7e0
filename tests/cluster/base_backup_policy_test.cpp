// A base backup by every policy for the old data, cut off anywhere.
#include <gtest/gtest.h>

#include "tests/cluster/base_backup.h"

namespace hooks::harness {
namespace {

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
