// Words that pgpool's line, or a person, got wrong: each hook says so and touches nothing.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/cluster.h"
#include "tests/support/hook_call.h"
#include "tests/support/snapshot.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;
using Words = std::vector<std::string>;

// One way in which words can be wrong.
struct WrongWords {
    const char* name;
    std::function<void(Words&)> spoil;  // gets words that are right
    std::vector<std::string> says;
};

std::function<void(Words&)> set(std::size_t index, std::string value) {
    return [index, value](Words& words) { words.at(index) = value; };
}
std::function<void(Words&)> erase(std::size_t index) {
    return [index](Words& words) { words.erase(words.begin() + static_cast<long>(index)); };
}
// A value that vanished, and a word too many at the end: the number of words is right.
std::function<void(Words&)> shift(std::size_t index) {
    return [index](Words& words) {
        words.erase(words.begin() + static_cast<long>(index));
        words.emplace_back("0");
    };
}

// All would make a shell, or a program that takes options, create a file.
Words hostile(const std::string& command) {
    return {"$(" + command + ")",
            "`" + command + "`",
            "a; " + command,
            "a|" + command,
            "a&" + command + "&",
            "a\n" + command + "\n",
            "'; " + command + "; '",
            "\"; " + command + "; \"",
            "-oProxyCommand=" + command,
            "a b",
            "a'b",
            "a\"b",
            "$HOME"};
}

class BadArguments : public testing::Test {
  protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.with_pgpool = false;
        return options;
    }
    void SetUp() override {
        cluster.start();
        before = snapshot(cluster);
    }

    std::string mark() const { return cluster.base_directory() + "/executed"; }
    std::string touch() const { return "touch " + mark(); }

    // What is right for the hook on the healthy cluster: taken by mistake, it would change a lot.
    Words right(const std::string& hook) const {
        const bool primary = hook == "failover_command";
        Words words = right_words(cluster, hook, primary ? 0 : 2, primary ? 1 : 0);
        if (primary) {
            words[7] = "0";  // %P
        }
        return words;
    }

    void refuses(const std::string& hook, const Words& words, const std::vector<std::string>& says,
                 const std::vector<std::string>& next) {
        const HookCall call = call_hook(cluster, hook, words);
        expect_complaint(cluster, call, {ExitCode::usage, says, next, seconds(2)});
        EXPECT_EQ(snapshot(cluster), before) << call.text();
        EXPECT_FALSE(std::filesystem::exists(mark())) << call.text();
    }

    void refuses_each(const std::string& hook, const std::vector<WrongWords>& table,
                      const std::vector<std::string>& next) {
        for (const WrongWords& wrong : table) {
            SCOPED_TRACE(hook + ": " + wrong.name);
            Words words = right(hook);
            wrong.spoil(words);
            refuses(hook, words, wrong.says, next);
        }
    }

    // `what`: part of the verdict.
    void refuses_hostile(const std::string& hook, std::size_t index, const std::string& prefix,
                         const std::string& what, const std::string& next) {
        for (const std::string& text : hostile(touch())) {
            SCOPED_TRACE(hook + ": word " + std::to_string(index) + " is " + prefix + text);
            Words words = right(hook);
            words.at(index) = prefix + text;
            refuses(hook, words, {what}, {next});
        }
    }

    Cluster cluster{options()};
    std::string before;
};

// %d %h %p "%D" %m %H %M %P %r "%R" %N %S
const std::vector<WrongWords>& wrong_pool_words() {
    static const std::vector<WrongWords> table{
        {"no words at all", [](Words& w) { w.clear(); }, {"0 arguments instead of 12"}},
        {"only the node", [](Words& w) { w.resize(1); }, {"1 arguments instead of 12"}},
        {"%D vanished: it is empty and was not quoted", erase(3), {"11 arguments", "unless it is"}},
        {"%D split: it has a blank and was not quoted",
         [](Words& w) { w.insert(w.begin() + 4, "directory"); },
         {"13 arguments", "unless it is quoted"}},
        {"one option behind the words",
         [](Words& w) { w.emplace_back("--dry-run"); },
         {"13 arguments"}},
        {"%d vanished, all shifted", shift(0), {"%d is \"10.", "not a node id"}},
        {"%h vanished, all shifted", shift(1), {"%p is \"/", "not a port"}},
        {"%p vanished, all shifted", shift(2), {"%p is \"/", "not a port"}},
        {"%D vanished, all shifted", shift(3), {"%D is \"", "not an absolute path"}},
        {"%m vanished, all shifted", shift(4), {"%m is \"10.", "not a node id"}},
        {"%H vanished, all shifted", shift(5), {"%P is \"5432\"", "not a node id"}},
        {"%d is empty", set(0, ""), {"%d is \"\"", "not a node id"}},
        {"%d is two quote characters", set(0, "\"\""), {"%d is", "not a node id"}},
        {"%d is blank", set(0, " "), {"%d is \" \"", "not a node id"}},
        {"%d is -1", set(0, "-1"), {"%d is -1", "not a node id"}},
        {"%d is -2", set(0, "-2"), {"%d is -2", "not a node id"}},
        {"%d is -3", set(0, "-3"), {"%d is \"-3\"", "not a node id"}},
        {"%d is 128", set(0, "128"), {"%d is \"128\"", "not a node id"}},
        {"%d is far too large", set(0, "99999999999999999999"), {"not a node id"}},
        {"%d has letters behind it", set(0, "0x"), {"%d is \"0x\"", "not a node id"}},
        {"%d is not in pgpool.conf", set(0, "7"), {"node 7 is not in /", "pgpool.conf"}},
        {"%h is the host of another node",
         set(1, "10.99.0.99"),
         {"%h is \"10.99.0.99\"", "backend_hostname0", "pgpool.conf", "shifted"}},
        {"%p is empty", set(2, ""), {"%p is \"\"", "not a port"}},
        {"%p is 0", set(2, "0"), {"%p is \"0\"", "not a port"}},
        {"%p is 65536", set(2, "65536"), {"%p is \"65536\"", "not a port"}},
        {"%p is negative", set(2, "-5432"), {"%p is \"-5432\"", "not a port"}},
        {"%p is another port", set(2, "5433"), {"%p is \"5433\"", "backend_port0"}},
        {"%D is relative", set(3, "data"), {"%D is \"data\"", "not an absolute path"}},
        {"%D is another directory", set(3, "/srv/data"), {"%D is \"/srv/data\"", "_directory0"}},
        {"%D holds a line break", set(3, "/srv/\ndata"), {"%D", "control character"}},
        {"%m is empty", set(4, ""), {"%m is \"\"", "not a node id"}},
        {"%m is two quote characters", set(4, "\"\""), {"%m is", "not a node id"}},
        {"%m is not in pgpool.conf", set(4, "9"), {"%m names node 9", "not in /", "pgpool.conf"}},
        {"%P is empty", set(7, ""), {"%P is \"\"", "not a node id"}},
        {"%P is -3", set(7, "-3"), {"%P is \"-3\"", "not a node id"}},
        {"%P is not in pgpool.conf", set(7, "9"), {"%P names node 9", "not in /", "pgpool.conf"}},
    };
    return table;
}

TEST_F(BadArguments, OfFailoverCommand) {
    const Words line{"should read: failover_command = '", "%d %h %p \"%D\" %m %H"};
    refuses_each("failover_command", wrong_pool_words(), line);
    for (const std::size_t host : {1U, 5U, 10U}) {
        refuses_hostile("failover_command", host, "", "neither a host", line[0]);
    }
    refuses_hostile("failover_command", 3, "/srv/", "%D", line[0]);
}

TEST_F(BadArguments, OfFollowPrimaryCommand) {
    const Words line{"should read: follow_primary_command = '", "%d %h %p \"%D\" %m %H"};
    auto table = wrong_pool_words();
    for (WrongWords& wrong : table) {  // these are of node 2
        for (std::string& part : wrong.says) {
            if (part.ends_with("0") && part.find('_') != std::string::npos) {
                part.back() = '2';
            }
        }
    }
    refuses_each("follow_primary_command", table, line);
    for (const std::size_t host : {1U, 5U, 10U}) {
        refuses_hostile("follow_primary_command", host, "", "neither a host", line[0]);
    }
    refuses_hostile("follow_primary_command", 3, "/srv/", "%D", line[0]);
    refuses_each("follow_primary_command",
                 {{"%m is -1", set(4, "-1"), {"%m is -1", "no primary to follow"}},
                  {"%m is -2", set(4, "-2"), {"%m is -2", "no primary to follow"}}},
                 {"Promote a node"});
    refuses_each("follow_primary_command",
                 {{"%m is the node itself", set(4, "2"), {"both 2", "cannot follow itself"}}},
                 line);
}

// PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT [DEST_NODE_ID [DEST_PORT [PRIMARY_HOST]]]
TEST_F(BadArguments, OfRecovery1stStage) {
    const std::string hook = "recovery_1st_stage";
    const Words next{"pgpool calls it as: recovery_1st_stage PRIMARY_DATADIR DEST_HOST"};
    refuses_each(
        hook,
        {
            {"no words at all", [](Words& w) { w.clear(); }, {"0 arguments instead of 4 to 7"}},
            {"three words", [](Words& w) { w.resize(3); }, {"3 arguments instead of 4 to 7"}},
            {"eight words", [](Words& w) { w.emplace_back("x"); }, {"8 arguments"}},
            {"the first vanished, all shifted", erase(0), {"argument 1", "not an absolute path"}},
            {"the second vanished, all shifted", erase(1), {"argument 3", "not an absolute path"}},
            {"the third vanished, all shifted", erase(2), {"argument 3", "not an absolute path"}},
            {"the node id vanished", erase(4), {"argument 5", "not a node id"}},
            {"primary directory empty", set(0, ""), {"argument 1", "not an absolute path"}},
            {"primary directory relative", set(0, "data"), {"argument 1", "not an absolute path"}},
            {"host empty", set(1, ""), {"argument 2", "neither a host"}},
            {"host of another node", set(1, cluster.host(1)), {"argument 2", "backend_hostname2"}},
            {"directory empty", set(2, ""), {"argument 3", "not an absolute path"}},
            {"directory relative", set(2, "./data"), {"argument 3", "not an absolute path"}},
            {"directory of another node",
             set(2, cluster.data_directory(1)),
             {"argument 3", "backend_data_directory2"}},
            {"primary port empty", set(3, ""), {"argument 4", "not a port"}},
            {"primary port 0", set(3, "0"), {"argument 4", "not a port"}},
            {"primary port 70000", set(3, "70000"), {"argument 4", "not a port"}},
            {"primary of no backend", set(3, "5433"), {"no backend", "5433", "pgpool.conf"}},
            {"node id empty", set(4, ""), {"argument 5", "not a node id"}},
            {"node id as two quotes", set(4, "\"\""), {"argument 5", "not a node id"}},
            {"node id -1", set(4, "-1"), {"argument 5", "-1, which is not in"}},
            {"node id -2", set(4, "-2"), {"argument 5", "-2, which is not in"}},
            {"node id not in pgpool.conf", set(4, "9"), {"argument 5", "9, which is not in"}},
            {"node id of another node", set(4, "1"), {"backend_"}},
            {"port 0", set(5, "0"), {"argument 6", "not a port"}},
            {"another port", set(5, "5433"), {"argument 6", "5433", "backend_port2"}},
            {"primary host empty", set(6, ""), {"argument 7", "neither a host"}},
            {"primary host of no backend", set(6, "10.99.0.99"), {"10.99.0.99", "pgpool.conf"}},
        },
        next);
    refuses_each(hook,
                 {{"the target is the primary",
                   [this](Words& w) { w = right_words(cluster, "recovery_1st_stage", 0, 0); },
                   {"the target (", "is the primary itself"}}},
                 {"pgpool.conf"});
    refuses_each(hook,
                 {{"four words of an unknown directory",
                   [](Words& w) {
                       w.resize(4);
                       w[2] = "/srv/data";
                   },
                   {"no node id", "/srv/data", "no backend"}}},
                 {"pgpool_conf"});
    refuses_hostile(hook, 1, "", "argument 2", next[0]);
    refuses_hostile(hook, 6, "", "argument 7", next[0]);
    refuses_hostile(hook, 2, "/srv/", "argument 3", next[0]);
}

// DEST_HOST DEST_DATADIR
TEST_F(BadArguments, OfPgpoolRemoteStart) {
    const std::string hook = "pgpool_remote_start";
    const Words next{"pgpool calls it as: pgpool_remote_start DEST_HOST DEST_DATADIR"};
    refuses_each(hook,
                 {
                     {"no words at all", [](Words& w) { w.clear(); }, {"0 arguments instead of 2"}},
                     {"one word", erase(0), {"1 arguments instead of 2"}},
                     {"three words", [](Words& w) { w.emplace_back("x"); }, {"3 arguments"}},
                     {"swapped", [](Words& w) { std::swap(w[0], w[1]); }, {"argument 2"}},
                     {"host empty", set(0, ""), {"argument 1", "neither a host"}},
                     {"host as two quotes", set(0, "\"\""), {"argument 1", "neither a host"}},
                     {"directory empty", set(1, ""), {"argument 2", "not an absolute path"}},
                     {"directory relative", set(1, "data"), {"argument 2", "not an absolute path"}},
                     {"directory with a line break", set(1, "/a\nb"), {"control character"}},
                 },
                 next);
    refuses_hostile(hook, 0, "", "argument 1", next[0]);
    refuses_hostile(hook, 1, "", "argument 2", next[0]);
}

// A path may hold all of that. It then is only a path, on this machine and on the node.
TEST_F(BadArguments, APathThatAShellWouldRunIsOnlyAPath) {
    for (const std::string& text : hostile(touch())) {
        if (text.find('\n') != std::string::npos) {
            continue;
        }
        const HookCall call =
            call_hook(cluster, "pgpool_remote_start", {cluster.host(2), "/srv/" + text});
        expect_complaint(cluster, call,
                         {ExitCode::refused, {"/srv/" + text, "no PG_VERSION"}, {"pcp_recovery"}});
        EXPECT_EQ(call.field("rule"), "S01");
        EXPECT_FALSE(std::filesystem::exists(mark())) << call.text();
    }
    EXPECT_EQ(snapshot(cluster), before);
}

TEST_F(BadArguments, ADataDirectoryWithAStrangeNameIsStartedAndStreams) {
    cluster.stop_postgres(2);
    const std::string strange = cluster.base_directory() + "/node2/a b'c\"d;$(touch " + "x)`y`&";
    std::filesystem::rename(cluster.data_directory(2), strange);
    const HookCall call = call_hook(cluster, "pgpool_remote_start", {cluster.host(2), strange});
    EXPECT_EQ(call.outcome.exit_code, 0) << call.text();
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10),
                       "node 2 streams");
    EXPECT_FALSE(std::filesystem::exists(cluster.base_directory() + "/node2/x"));
}

// What pgpool really writes, and what the words stand for.
TEST_F(BadArguments, BlanksAndQuotesThatPgpoolWritesAreUnderstood) {
    const std::vector<WrongWords> table{
        {"blanks of 4.4",
         [](Words& w) {
             for (const std::size_t i : {0U, 2U, 4U}) {
                 w[i] = " " + w[i];
             }
         },
         {}},
        {"blanks behind", set(0, "0 "), {}},
        {"hosts as two quotes", [](Words& w) { w[1] = w[5] = w[10] = "\"\""; }, {}},
        {"hosts empty", [](Words& w) { w[1] = w[5] = w[10] = ""; }, {}},
        {"%D as two quotes", set(3, "\"\""), {}},
        {"%P unknown", set(7, "-1"), {}},
        {"%P never determined", set(7, "-2"), {}},
        {"words that nobody reads",
         [this](Words& w) { w[6] = w[8] = w[9] = w[11] = "$(" + touch() + ")"; },
         {}},
    };
    for (const WrongWords& words : table) {
        SCOPED_TRACE(words.name);
        Words given = right("failover_command");
        words.spoil(given);
        given.insert(given.begin(), "--dry-run");
        const HookCall call = call_hook(cluster, "failover_command", given);
        EXPECT_EQ(call.outcome.exit_code, 0) << call.text();
        EXPECT_EQ(call.field("rule"), "F04") << call.text();
        EXPECT_EQ(call.outcome.out.substr(0, 28), "F04: node 0 was the primary ") << call.text();
    }
    EXPECT_EQ(snapshot(cluster), before);
    EXPECT_FALSE(std::filesystem::exists(mark()));
}

}  // namespace
}  // namespace hooks::harness
