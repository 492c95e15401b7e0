#include "common/core/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Config parse(std::string_view text) {
    return parse_config(ConfFile::parse(text, "hooks.conf"));
}

std::string error_in(std::string_view text) {
    return thrown([&] { parse(text); });
}

TEST(Config, HasADefaultForEveryKey) {
    const Config config = default_config();
    EXPECT_EQ(config.pgpool_conf, "");
    EXPECT_TRUE(config.local_nodes);
    EXPECT_EQ(config.postgres_user, "postgres");
    EXPECT_EQ(config.postgres_database, "postgres");
    EXPECT_EQ(config.replication_user, "repl");
    EXPECT_TRUE(config.replication_conninfo.empty());
    EXPECT_EQ(config.passfile, "");
    EXPECT_EQ(config.pcp_host, "localhost");
    EXPECT_EQ(config.pcp_port, 0);
    EXPECT_EQ(config.pcp_user, "pgpool");
    EXPECT_EQ(config.pcp_passfile, "");
    EXPECT_EQ(config.pcp_bin_dir, "");
    EXPECT_EQ(config.failover_timeout, seconds(25));
    EXPECT_EQ(config.follow_timeout, minutes(10));
    EXPECT_EQ(config.recovery_timeout, std::nullopt);
    EXPECT_EQ(config.connect_timeout, seconds(2));
    EXPECT_EQ(config.fence_timeout, seconds(2));
    EXPECT_EQ(config.candidate, CandidateChoice::most_advanced);
    EXPECT_EQ(config.unfenced_primary, UnfencedPrimary::promote);
    EXPECT_TRUE(config.rejoin_old_primary);
    EXPECT_EQ(config.base_backup, BaseBackupPolicy::keep_old);
    EXPECT_EQ(config.failed_standby_slot, FailedStandbySlot::keep_if_bounded);
    EXPECT_EQ(config.state_dir, "/var/lib/pgpool-hooks");
    EXPECT_EQ(config.log_level, "info");
    EXPECT_TRUE(config.syslog);
    const NodeOptions& node = config.node(0);
    EXPECT_EQ(node.ssh_host, "");
    EXPECT_EQ(node.ssh_port, 22);
    EXPECT_EQ(node.ssh_user, "postgres");
    EXPECT_EQ(node.ssh_identity_file, "");
    EXPECT_EQ(node.ssh_known_hosts_file, "");
    EXPECT_EQ(node.postgres_bin_dir, "");
    EXPECT_EQ(node.application_name, "");
    EXPECT_EQ(node.start_command, "");
    EXPECT_EQ(node.stop_command, "");
    EXPECT_EQ(node.passfile, "");
}

TEST(Config, TakesEveryKeyFromTheFile) {
    const Config config = parse(R"(
pgpool_conf = '/p.conf'
local_nodes = off
ssh_user = 'u'
ssh_port = 2222
ssh_identity_file = '/id'
ssh_known_hosts_file = '/kh'
postgres_user = 'pu'
postgres_database = 'pd'
replication_user = 'ru'
replication_conninfo = 'sslmode=require application_name=''a b'''
passfile = '/pass'
postgres_bin_dir = '/bin'
start_command = 'start it'
stop_command = 'stop it'
pcp_host = 'ph'
pcp_port = 9899
pcp_user = 'pcpu'
pcp_passfile = '/pp'
pcp_bin_dir = '/pb'
failover_timeout = 500ms
follow_timeout = '1h'
recovery_timeout = 90
connect_timeout = 3s
fence_timeout = 4s
candidate = pgpool
unfenced_primary = refuse
relax_synchronous = until_standby_returns
rejoin_old_primary = no
base_backup = never
failed_standby_slot = drop
state_dir = '/state'
log_level = debug
syslog = false
)");
    EXPECT_EQ(config.pgpool_conf, "/p.conf");
    EXPECT_FALSE(config.local_nodes);
    EXPECT_EQ(config.postgres_user, "pu");
    EXPECT_EQ(config.postgres_database, "pd");
    EXPECT_EQ(config.replication_user, "ru");
    EXPECT_EQ(config.replication_conninfo.str(), "sslmode=require application_name='a b'");
    EXPECT_EQ(config.passfile, "/pass");
    EXPECT_EQ(config.pcp_host, "ph");
    EXPECT_EQ(config.pcp_port, 9899);
    EXPECT_EQ(config.pcp_user, "pcpu");
    EXPECT_EQ(config.pcp_passfile, "/pp");
    EXPECT_EQ(config.pcp_bin_dir, "/pb");
    EXPECT_EQ(config.failover_timeout, Milliseconds(500));
    EXPECT_EQ(config.follow_timeout, hours(1));
    EXPECT_EQ(config.recovery_timeout, seconds(90));
    EXPECT_EQ(config.connect_timeout, seconds(3));
    EXPECT_EQ(config.fence_timeout, seconds(4));
    EXPECT_EQ(config.candidate, CandidateChoice::pgpool);
    EXPECT_EQ(config.unfenced_primary, UnfencedPrimary::refuse);
    EXPECT_EQ(config.relax_synchronous, RelaxSynchronous::until_standby_returns);
    EXPECT_FALSE(config.rejoin_old_primary);
    EXPECT_EQ(config.base_backup, BaseBackupPolicy::never);
    EXPECT_EQ(config.failed_standby_slot, FailedStandbySlot::drop);
    EXPECT_EQ(config.state_dir, "/state");
    EXPECT_EQ(config.log_level, "debug");
    EXPECT_FALSE(config.syslog);
    const NodeOptions& node = config.node(5);
    EXPECT_EQ(node.ssh_user, "u");
    EXPECT_EQ(node.ssh_port, 2222);
    EXPECT_EQ(node.ssh_identity_file, "/id");
    EXPECT_EQ(node.ssh_known_hosts_file, "/kh");
    EXPECT_EQ(node.postgres_bin_dir, "/bin");
    EXPECT_EQ(node.start_command, "start it");
    EXPECT_EQ(node.stop_command, "stop it");
    EXPECT_EQ(node.passfile, "/pass");
}

TEST(Config, MapsEveryChoiceToItsEnumerator) {
    EXPECT_EQ(parse("failed_standby_slot = keep").failed_standby_slot, FailedStandbySlot::keep);
    EXPECT_EQ(parse("failed_standby_slot = keep_if_bounded").failed_standby_slot,
              FailedStandbySlot::keep_if_bounded);
    EXPECT_EQ(parse("candidate = most_advanced").candidate, CandidateChoice::most_advanced);
    EXPECT_EQ(parse("unfenced_primary = promote").unfenced_primary, UnfencedPrimary::promote);
    EXPECT_EQ(parse("relax_synchronous = off").relax_synchronous, RelaxSynchronous::off);
    EXPECT_EQ(parse("base_backup = keep_old").base_backup, BaseBackupPolicy::keep_old);
    EXPECT_EQ(parse("recovery_timeout = off").recovery_timeout, std::nullopt);
}

TEST(Config, OverridesAKeyForOneNodeWhateverTheOrder) {
    const Config config = parse(
        "1.ssh_port = 2022\n"
        "1.ssh_host = 'gate'\n"
        "1.application_name = 'one'\n"
        "1.passfile = '/one'\n"
        "ssh_port = 2222\n"
        "ssh_user = 'everyone'\n"
        "passfile = '/all'\n"
        "2.SSH_User = 'two'\n");
    EXPECT_EQ(config.node(1).ssh_port, 2022);
    EXPECT_EQ(config.node(1).ssh_host, "gate");
    EXPECT_EQ(config.node(1).application_name, "one");
    EXPECT_EQ(config.node(1).ssh_user, "everyone");
    EXPECT_EQ(config.node(1).passfile, "/one");
    EXPECT_EQ(config.node(2).ssh_port, 2222);
    EXPECT_EQ(config.node(2).ssh_user, "two");
    EXPECT_EQ(config.node(2).passfile, "/all");
    EXPECT_EQ(config.node(3).ssh_user, "everyone");
    EXPECT_EQ(config.passfile, "/all");
}

TEST(Config, LetsTheLastLineWin) {
    EXPECT_EQ(parse("ssh_port = 1\nssh_port = 2\n").node(0).ssh_port, 2);
    EXPECT_EQ(parse("pcp_port = 1\npcp_port = ''\n").pcp_port, 0);
    EXPECT_EQ(parse("passfile = '/a'\n1.passfile = ''\n").node(1).passfile, "");
}

TEST(Config, SuggestsTheNearestNameForAnUnknownKey) {
    EXPECT_EQ(error_in("\n\nsshuser = 'x'\n"),
              "config: hooks.conf:3: unknown key \"sshuser\"; Did you mean \"ssh_user\"?");
    EXPECT_EQ(error_in("1.sshport = 1"),
              "config: hooks.conf:1: unknown key \"1.sshport\"; Did you mean \"1.ssh_port\"?");
    EXPECT_EQ(error_in("failover_time = 1"),
              "config: hooks.conf:1: unknown key \"failover_time\"; Did you mean "
              "\"failover_timeout\"?");
    EXPECT_EQ(error_in("shared_buffers = '1GB'"),
              "config: hooks.conf:1: unknown key \"shared_buffers\"; Run the hook with --help for "
              "the names of all keys.");
    EXPECT_EQ(error_in("99999999999.ssh_port = 1"),
              "config: hooks.conf:1: unknown key \"99999999999.ssh_port\"; Run the hook with "
              "--help for the names of all keys.");
}

TEST(Config, SaysWhenAKeyStandsInTheWrongPlace) {
    EXPECT_EQ(error_in("2.candidate = pgpool"),
              "config: hooks.conf:1: \"candidate\" cannot be set for one node; Write it without "
              "\"2.\".");
    EXPECT_EQ(error_in("ssh_host = db1"),
              "config: hooks.conf:1: \"ssh_host\" cannot be the same for all nodes; Put the id of "
              "a node in front of it, as in \"1.ssh_host\".");
}

TEST(Config, NamesFileLineAndKeyOfABadValue) {
    const std::string hint = "; Correct that line; --help tells what each key takes.";
    EXPECT_EQ(error_in("ssh_port = abc"),
              "config: hooks.conf:1: ssh_port: \"abc\" is not a port (1 to 65535)" + hint);
    EXPECT_EQ(error_in("1.ssh_port = 0"),
              "config: hooks.conf:1: 1.ssh_port: \"0\" is not a port (1 to 65535)" + hint);
    EXPECT_EQ(error_in("syslog = maybe"),
              "config: hooks.conf:1: syslog: \"maybe\" is not on or off" + hint);
    EXPECT_EQ(error_in("failover_timeout = soon"),
              "config: hooks.conf:1: failover_timeout: \"soon\" is not a duration such as 500ms, "
              "25s, 10min or 1h" +
                  hint);
    EXPECT_EQ(error_in("failover_timeout = 0"),
              "config: hooks.conf:1: failover_timeout: \"0\" is not a duration such as 500ms, 25s, "
              "10min or 1h" +
                  hint);
    EXPECT_EQ(
        error_in("candidate = best"),
        "config: hooks.conf:1: candidate: \"best\" is not one of most_advanced | pgpool" + hint);
    EXPECT_EQ(
        error_in("log_level = loud"),
        "config: hooks.conf:1: log_level: \"loud\" is not one of error | warn | info | debug" +
            hint);
    EXPECT_EQ(error_in("passfile = '~/.pgpass'"),
              "config: hooks.conf:1: passfile: \"~/.pgpass\" is not an absolute path" + hint);
    EXPECT_EQ(error_in("state_dir = ''"),
              "config: hooks.conf:1: state_dir: must not be empty" + hint);
    EXPECT_EQ(error_in("replication_conninfo = 'sslmode'"),
              "config: hooks.conf:1: replication_conninfo: missing \"=\" at offset 7 of the "
              "connection string; A value with blanks must be quoted: keyword='two words'.");
    EXPECT_EQ(error_in("replication_conninfo = 'sslmode=require nonsense=1'"),
              "config: hooks.conf:1: replication_conninfo: the keyword at place 2 is none of "
              "libpq's" +
                  hint);
    EXPECT_EQ(error_in("replication_conninfo = 'host=db1'"),
              "config: hooks.conf:1: replication_conninfo: \"host\" is not for all nodes to share; "
              "Take it out: each connection has that of its server.");
}

TEST(Duration, IsANumberAndAUnit) {
    EXPECT_EQ(parse_duration("25s"), seconds(25));
    EXPECT_EQ(parse_duration("500ms"), Milliseconds(500));
    EXPECT_EQ(parse_duration("10min"), minutes(10));
    EXPECT_EQ(parse_duration("10 min"), minutes(10));
    EXPECT_EQ(parse_duration("1h"), hours(1));
    EXPECT_EQ(parse_duration("7"), seconds(7));
    EXPECT_EQ(parse_duration("0"), seconds(0));
    EXPECT_EQ(parse_duration("8760h"), hours(8760));
}

TEST(Duration, IsNothingElse) {
    for (const char* text : {"", "s", "-1s", "+1s", "1.5s", "1m", "1 s x", "1S", "8761h",
                             "9223372036854775807h", "99999999999999999999s", " 1s"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(OptionTable, HasEachNameOnceAndADefaultOrWhatEmptyMeans) {
    std::set<std::string_view> names;
    for (const OptionRow& row : option_table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_NE(row.default_value.empty(), row.when_empty.empty()) << row.name;
        EXPECT_FALSE(row.text.empty()) << row.name;
        EXPECT_TRUE(row.per_node || !row.node_only) << row.name;
    }
    EXPECT_EQ(names.size(), 38U);
}

std::string longest_line(const std::string& text) {
    std::string longest;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        longest = line.size() > longest.size() ? line : longest;
    }
    return longest;
}

TEST(SampleConfig, SaysTheDefaultsWhenItsCommentsAreTakenAway) {
    std::string file;
    std::istringstream lines(sample_config());
    for (std::string line; std::getline(lines, line);) {
        const bool is_setting = line.starts_with('#') && !line.starts_with("# ") && line != "#";
        file += (is_setting ? line.substr(1) : line) + "\n";
    }
    const ConfFile conf = ConfFile::parse(file, "hooks.conf");
    EXPECT_EQ(conf.settings().size(), option_table().size());
    for (const OptionRow& row : option_table()) {
        const std::string name = (row.node_only ? "1." : "") + std::string(row.name);
        EXPECT_EQ(conf.value(name), row.default_value) << name;
    }
    EXPECT_EQ(parse_config(conf).failover_timeout, default_config().failover_timeout);
}

TEST(SampleConfig, SetsNothingByItself) {
    EXPECT_TRUE(ConfFile::parse(sample_config(), "hooks.conf").settings().empty());
    EXPECT_LE(longest_line(sample_config()).size(), 100U) << longest_line(sample_config());
}

TEST(SampleConfig, IsTheOneAmongTheExamples) {
    const std::string path = HOOKS_EXAMPLES_DIR "/hooks.conf";
    if (std::getenv("HOOKS_WRITE_EXAMPLES") != nullptr) {
        std::ofstream(path, std::ios::binary) << sample_config();
    }
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream content;
    content << stream.rdbuf();
    EXPECT_EQ(content.str(), sample_config())
        << "run unit_tests with HOOKS_WRITE_EXAMPLES=1 to write " << path;
}

TEST(OptionsHelp, NamesEveryKeyWithItsDefault) {
    const std::string help = options_help();
    EXPECT_NE(help.find("  ssh_port = '22'\n"
                        "      The port of sshd. Type: port. For one node: NODEID.ssh_port.\n"),
              std::string::npos)
        << help;
    EXPECT_NE(help.find("  NODEID.ssh_host = ''\n"
                        "      Where SSH reaches the node, if that is not its backend_hostname. "
                        "Empty: backend_hostname.\n"),
              std::string::npos)
        << help;
    for (const OptionRow& row : option_table()) {
        EXPECT_NE(help.find(std::string(row.name) + " = '"), std::string::npos) << row.name;
    }
    EXPECT_LE(longest_line(help).size(), 100U) << longest_line(help);
}

}  // namespace
}  // namespace hooks
