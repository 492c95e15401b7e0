// Two nodes of which the second needs a base backup, and what is expected of one.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/cluster/calls.h"

namespace hooks::harness {

inline ClusterOptions two_nodes_with_little_wal() {
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
    BaseBackup() : cluster(two_nodes_with_little_wal()) {}
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
        const Outcome outcome = run_process(command, Deadline::after(std::chrono::seconds(60)));
        ASSERT_TRUE(outcome.ok()) << line << ": " << outcome.describe();
    }
    bool exists(const std::string& path) const {
        return std::filesystem::exists(std::filesystem::symlink_status(path));
    }
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

}  // namespace hooks::harness
