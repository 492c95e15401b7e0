// A base backup on whatever a data directory may look like, and on a disk with too little room.
#include <gtest/gtest.h>

#include "tests/cluster/base_backup.h"

namespace hooks::harness {
namespace {

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

}  // namespace
}  // namespace hooks::harness
