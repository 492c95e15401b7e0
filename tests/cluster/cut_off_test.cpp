// What the files of a node look like after something was cut off, and what is made of it.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

class CutOff : public ByHandTest {
  protected:
    std::string work() const { return cluster.data_directory(2) + ".pgpool-hooks"; }
    void shell(const std::string& line) {
        const Outcome outcome = cluster.run_shell(line);
        ASSERT_TRUE(outcome.ok()) << line << ": " << outcome.err;
    }
    bool exists(const std::string& path) const { return cluster.run_shell("test -e " + path).ok(); }

    Outcome first_stage() {
        return cluster.run_hook(
            "recovery_1st_stage",
            {"--config", cluster.hooks_conf_path(), cluster.data_directory(0), cluster.host(2),
             cluster.data_directory(2), std::to_string(cluster.port(0)), "2",
             std::to_string(cluster.port(2)), cluster.host(0)});
    }
    void expect_started() {
        const Outcome outcome = cluster.run_hook(
            "pgpool_remote_start",
            {"--config", cluster.hooks_conf_path(), cluster.host(2), cluster.data_directory(2)});
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        EXPECT_EQ(cluster.streaming_problem(2), "") << outcome.err;
    }
};

TEST_F(CutOff, AfterARewindThatDidNotEndTheNodeGetsTheConfigurationThatWasSaved) {
    cluster.stop_postgres(2);
    shell("mkdir -p " + work() + "/configuration && cd " + cluster.data_directory(2) +
          " && cp -p *.conf " + work() + "/configuration/ && echo \"work_mem = '7MB'\" >>" +
          work() + "/configuration/postgresql.conf && : >postgresql.conf && touch " + work() +
          "/rewind-unfinished");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_NE(first.err.find("rule=R03"), std::string::npos) << first.err;
    expect_started();
    EXPECT_EQ(cluster.sql_value(2, "SHOW work_mem"), "7MB");
}

// A server makes segments ahead, full of zeros. pg_waldump by itself asks the first file of the
// directory how large a segment is.
TEST_F(CutOff, ASegmentMadeAheadDoesNotHideWhereTheWalEnds) {
    cluster.stop_postgres(0);
    shell("cd " + cluster.data_directory(0) +
          "/pg_wal && for low in 07 08 09 0A; do head -c 16777216 /dev/zero "
          ">0000000100000000000000$low; done");
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_history(cluster, "rule=R06 exit=0 verdict=\"node 0");
}

TEST_F(CutOff, ASwapThatGoesOnAfterItsHookIsWaitedFor) {
    cluster.stop_postgres(2);
    shell("mkdir " + work() + " && touch " + work() + "/rewind-unfinished");
    shell("(echo 'sleep 40 && :' | /bin/sh -s -- " + work() + "/incoming >/dev/null 2>&1 &)");
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 3) << first.err;
    EXPECT_NE(first.err.find("works on"), std::string::npos) << first.err;
    EXPECT_FALSE(exists(work() + "/incoming"));
}

TEST_F(CutOff, WhatStoodThereFirstIsKeptUntilABaseBackupIsProved) {
    cluster.stop_postgres(2);
    shell("touch " + cluster.data_directory(2) + "/base/original && mkdir " + work() +
          " && touch " + work() + "/rewind-unfinished");
    EXPECT_EQ(first_stage().exit_code, 0);
    // The second replaces one that was never started.
    EXPECT_EQ(first_stage().exit_code, 0);
    EXPECT_TRUE(exists(work() + "/previous/base/original"));
    expect_started();
    EXPECT_FALSE(exists(work() + "/previous"));
    EXPECT_FALSE(exists(work() + "/discarded"));
}

TEST_F(CutOff, WhatIsNoDataDirectoryIsNotReplaced) {
    cluster.stop_postgres(2);
    cluster.wipe(2);
    const std::string file = cluster.data_directory(2) + "/15/main/PG_VERSION";
    shell("mkdir -p " + cluster.data_directory(2) + "/15/main && touch " + file);
    const Outcome first = first_stage();
    EXPECT_EQ(first.exit_code, 3) << first.err;
    EXPECT_NE(first.err.find("it holds 15"), std::string::npos) << first.err;
    EXPECT_TRUE(exists(file));
    EXPECT_FALSE(exists(work() + "/previous"));
}

// The machine may boot right then, and start what it finds.
TEST_F(CutOff, ARewoundDirectoryIsAStandbysAtEveryMoment) {
    diverge();
    cluster.stop_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    const std::string bin = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    const std::string data = cluster.data_directory(0);
    const std::string seen = cluster.base_directory() + "/seen";
    shell("mkdir " + bin + " && ln -s " + real + "/* " + bin + "/ && cd " + bin +
          " && rm pg_rewind pg_basebackup && printf '#!/bin/sh\\ntest -e $2/standby.signal && "
          "test ! -e " +
          data + " && echo before >>" + seen + "\\n" + real +
          "/pg_rewind \"$@\"\\nexit 1\\n' >pg_rewind && printf '#!/bin/sh\\ntest -e " + data +
          "/standby.signal && test ! -e " + data + "/global/pg_control && echo after >>" + seen +
          "\\nexec " + real +
          "/pg_basebackup \"$@\"\\n' >pg_basebackup && chmod 755 pg_rewind pg_basebackup && echo "
          "\"0.postgres_bin_dir = '" +
          bin + "'\" >>" + cluster.hooks_conf_path());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    EXPECT_EQ(cluster.run_shell("cat " + seen).out, "before\nafter\n");
}

}  // namespace
}  // namespace hooks::harness
