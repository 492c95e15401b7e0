// Configuration that is not there, cannot be read or is wrong: each hook names file, line and key,
// and touches nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/cluster.h"
#include "tests/support/cluster_files.h"
#include "tests/support/hook_call.h"
#include "tests/support/snapshot.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;
using Words = std::vector<std::string>;

// Added to a configuration that is right.
struct WrongLine {
    std::string line;
    std::vector<std::string> says;
    std::vector<std::string> next;
};

// Each of the four, on a healthy cluster.
class BadConfig : public testing::TestWithParam<std::string> {
  protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.nodes = 2;
        options.with_pgpool = false;
        return options;
    }
    void SetUp() override {
        cluster.start();
        before = snapshot(cluster);
    }

    std::string right_conf() const { return read_file(cluster.hooks_conf_path()); }
    static std::string line_number(const std::string& text) {
        return std::to_string(std::count(text.begin(), text.end(), '\n') + 1);
    }
    std::string write(const std::string& name, const std::string& text, unsigned mode = 0644) {
        std::string path = cluster.base_directory() + "/" + name;
        cluster.server(0).place().write_file(path, text, mode);
        return path;
    }

    // `options` stand before words that are right.
    HookCall call(Words options, const Environment& environment = {}) const {
        const Words words = right_words(cluster, GetParam(), 1, 0);
        options.insert(options.end(), words.begin(), words.end());
        return call_hook(cluster, GetParam(), options, environment);
    }
    void refuses(const HookCall& call, const std::vector<std::string>& says,
                 const std::vector<std::string>& next, bool in_history = false) {
        expect_complaint(cluster, call, {ExitCode::usage, says, next, seconds(2), in_history});
        EXPECT_EQ(snapshot(cluster), before);
    }

    Cluster cluster{options()};
    std::string before;
};

TEST_P(BadConfig, HooksConfThatIsNotThereOrCannotBeRead) {
    const std::vector<std::string> next{"--config FILE", "PGPOOL_HOOKS_CONFIG", "hooks.conf"};
    refuses(call({"--config", "/nowhere/hooks.conf"}),
            {"configuration /nowhere/hooks.conf", "No such file"}, next);
    refuses(call({"--config", cluster.base_directory()}),
            {"configuration " + cluster.base_directory(), "s a directory"}, next);
    const std::string locked = write("locked.conf", right_conf(), 0000);
    refuses(call({"--config", locked}), {"configuration " + locked, "Permission denied"}, next);
    // Named by the environment, and by nobody.
    const std::string command = cluster.hook_path(GetParam()) + " ";
    const auto shell = [&](const Environment& environment) {
        return read_call(GetParam(), cluster.run_shell(command, environment), Milliseconds(0));
    };
    refuses(shell({{"PGPOOL_HOOKS_CONFIG", "/nowhere/else.conf"}}),
            {"configuration /nowhere/else.conf", "No such file"}, next);
    refuses(shell({}), {"configuration /etc/pgpool-hooks/hooks.conf", "No such file"}, next);
}

TEST_P(BadConfig, AWrongLineIsNamedWithFileAndLineAndTheNearestKey) {
    const std::vector<WrongLine> table{
        {"sshuser = 'postgres'", {"unknown key \"sshuser\""}, {"Did you mean \"ssh_user\"?"}},
        {"1.ssh_prt = 22", {"unknown key \"1.ssh_prt\""}, {"Did you mean \"1.ssh_port\"?"}},
        {"failover_time = '25s'", {"unknown key"}, {"Did you mean \"failover_timeout\"?"}},
        {"nothing_like_it = 1", {"unknown key \"nothing_like_it\""}, {"--help"}},
        {"1.pcp_user = 'pgpool'", {"\"pcp_user\" cannot be set for one node"}, {"without \"1.\""}},
        {"ssh_host = 'db'", {"\"ssh_host\" cannot be the same"}, {"\"1.ssh_host\""}},
        {"failover_timeout = '25 parsecs'", {"failover_timeout", "not a duration"}, {"line"}},
        {"failover_timeout = 0", {"failover_timeout", "\"0\" is not a duration"}, {"line"}},
        {"failover_timeout = -5", {"failover_timeout", "\"-5\" is not a duration"}, {"line"}},
        {"ssh_port = 99999", {"ssh_port", "\"99999\" is not a port"}, {"line"}},
        {"ssh_port = ''", {"ssh_port", "must not be empty"}, {"line"}},
        {"ssh_identity_file = 'id'", {"ssh_identity_file", "not an absolute path"}, {"line"}},
        {"local_nodes = perhaps", {"local_nodes", "\"perhaps\" is not on or off"}, {"line"}},
        {"candidate = 'me'", {"candidate", "not one of most_advanced | pgpool"}, {"line"}},
        {"log_level = 'loud'", {"log_level", "not one of error | warn"}, {"line"}},
        {"ssh_user = 'postgres", {"unterminated quoted string"}, {"quote"}},
        {"ssh_user = two words", {"syntax error near \"words\""}, {"quote"}},
        {"ssh_user", {"\"ssh_user\" has no value"}, {"quote"}},
        {"= 1", {"syntax error near \"=\""}, {"quote"}},
        {"<xml/>", {"syntax error near \"<\""}, {"quote"}},
        {std::string("\x7f"
                     "ELF\x01\x02"),
         {"syntax error near \"\\x7F\""},
         {"quote"}},
        // What may be a password is not shown.
        {"replication_conninfo = 'password=''pcpsecret'", {"unterminated"}, {"line"}},
        {"replication_conninfo = 'host=db'", {"replication_conninfo", "\"host\""}, {"Take it out"}},
        {"replication_conninfo = 'password=a b=pcpsecret'", {"at place 2 is none"}, {"line"}},
        {"replication_conninfo = 'password=a pcpsecret'", {"missing \"=\""}, {"quoted"}},
        {"replication_conninfo = 'pass=pcpsecret'", {"replication_conninfo"}, {"line"}},
        {"replication_conninfo = password=pcpsecret", {"syntax error"}, {"quote"}},
        {"replication_conninfo = $pcpsecret", {"syntax error"}, {"quote"}},
    };
    for (const WrongLine& wrong : table) {
        SCOPED_TRACE(wrong.line);
        std::string text = right_conf();
        const std::string number = line_number(text);
        text += wrong.line + "\n# the end\n";
        std::vector<std::string> says = wrong.says;
        says.push_back(write("wrong.conf", text) + ":" + number + ": ");
        refuses(call({"--config", cluster.base_directory() + "/wrong.conf"}), says, wrong.next);
    }
}

TEST_P(BadConfig, PgpoolConfThatIsNotThereCannotBeReadOrHasNoBackends) {
    const std::string pgpool_conf = cluster.base_directory() + "/pgpool/pgpool.conf";
    const std::string right = read_file(pgpool_conf);
    const auto with = [&](const std::string& path) {
        return Words{"--config",
                     write("hooks2.conf", right_conf() + "pgpool_conf = '" + path + "'\n")};
    };
    const std::vector<std::string> next{"pgpool_conf", "hooks.conf"};
    refuses(call(with("/nowhere/pgpool.conf")), {"pgpool.conf /nowhere", "No such file"}, next);
    refuses(call(with(cluster.base_directory())), {"pgpool.conf /", "s a directory"}, next);
    refuses(call(with(write("locked.conf", right, 0000))), {"locked.conf", "Permission"}, next);
    refuses(call(with(write("p.conf", ""))), {"p.conf", "no backend"}, {"backend_hostname"});

    const std::vector<WrongLine> table{
        {"backend_port1 = 'none'", {"backend_port1 is \"none\"", "not a port"}, {"line"}},
        {"pcp_port = 99999", {"pcp_port", "not a port"}, {"line"}},
        {"failover_command = 'unfinished", {"unterminated"}, {"quote"}},
        {"sr_check_password = pcpsecret$", {"syntax error"}, {"quote"}},
        {"sr_check_password = 'pcpsecret", {"unterminated"}, {"quote"}},
        {"sr_check_password = 'a'pcpsecret", {"syntax error"}, {"quote"}},
    };
    for (const WrongLine& wrong : table) {
        SCOPED_TRACE(wrong.line);
        std::vector<std::string> says = wrong.says;
        says.push_back(write("p.conf", right + wrong.line + "\n") + ":" + line_number(right) + ":");
        refuses(call(with(cluster.base_directory() + "/p.conf")), says, wrong.next);
    }
}

TEST_P(BadConfig, OptionsThatAreWrong) {
    const std::string command = cluster.hook_path(GetParam()) + " ";
    const auto shell = [&](const std::string& options) {
        return read_call(GetParam(), cluster.run_shell(command + options), Milliseconds(0));
    };
    refuses(shell("--config"), {"--config needs a value"}, {"--help"});
    refuses(shell("--dryrun"), {"unknown option \"--dryrun\""}, {"--help"});
    refuses(shell("--log-level loud"), {"--log-level is \"loud\""}, {"error, warn, info, debug"});
    refuses(shell("--log-level"), {"--log-level needs a value"}, {"--help"});
}

INSTANTIATE_TEST_SUITE_P(Of, BadConfig, testing::ValuesIn(hook_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace hooks::harness
