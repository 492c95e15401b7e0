// The real pcp tools without the right password, where there is a terminal on which to ask for one.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class PcpPassword : public ByHandTest {
  protected:
    std::string path(const std::string& name) const {
        return cluster.base_directory() + "/" + name;
    }
    void write(const std::string& name, const std::string& text) {
        cluster.server(0).place().write_file(path(name), text);
    }
    // With a terminal of its own, on which nobody types. The hook writes there too.
    Outcome follow_on_a_terminal(const std::string& passfile) {
        write("other.conf",
              read_file(cluster.hooks_conf_path()) + "pcp_passfile = '" + path(passfile) + "'\n");
        const std::string hook = cluster.hook_path("follow_primary_command") + " --config " +
                                 path("other.conf") +
                                 " %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S\n";
        write("follow.sh",
              "exec " + expand_command(hook, cluster.placeholders(2, 1, 0), PgpoolStyle::v4_4));
        return cluster.run_shell("mkfifo " + path("keys") + " && { sleep 60 >" + path("keys") +
                                 " & script -qec 'sh " + path("follow.sh") + "' /dev/null <" +
                                 path("keys") + "; result=$?; kill $!; rm " + path("keys") +
                                 "; exit $result; }");
    }
    // By the worker, to which the hook hands over what it could not do.
    void expect_said(const std::string& passfile) {
        const auto begin = std::chrono::steady_clock::now();
        const Outcome outcome = follow_on_a_terminal(passfile);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20)) << outcome.out;
        EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
        EXPECT_NE(outcome.out.find("authentication failed"), std::string::npos) << outcome.out;
        // As the log quotes it.
        expect_history(cluster, "127.0.0.1:" + std::to_string(cluster.options().pcp_port) +
                                    ":pgpool:PASSWORD\\\" a line of " + path(passfile) +
                                    " (mode 0600)");
        EXPECT_EQ(cluster.streaming_problem(2), "") << outcome.out;  // only attached it is not
        EXPECT_FALSE(cluster.pool_status().at(2).attached());
    }
};

// The tools of Pgpool-II 4.7 ask although they were told not to (-w).
TEST_F(PcpPassword, ThatIsWrongOrMissingIsSaidAndNobodyIsAsked) {
    write("wrong", "*:*:pgpool:not the password\n");
    write("right", read_file(path("pcppass")));
    cluster.kill_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    cluster.pcp("pcp_detach_node", {"2"});
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "node 2 is detached");
    expect_said("missing");
    expect_said("wrong");
    const Outcome outcome = follow_on_a_terminal("right");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
    expect_attached(cluster, 2);
}

}  // namespace
}  // namespace hooks::harness
