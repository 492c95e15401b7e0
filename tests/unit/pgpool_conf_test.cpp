#include "common/core/pgpool_conf.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

PgpoolConf parse(std::string_view text) {
    return parse_pgpool_conf(ConfFile::parse(text, "pgpool.conf"), "/etc/pgpool2/pgpool.conf");
}

TEST(PgpoolConf, ListsTheBackendsByIdWithGaps) {
    const PgpoolConf conf = parse(
        "backend_hostname10 = '/tmp'\n"
        "backend_port10 = 5435\n"
        "backend_hostname2 = 'db2'     # the second\n"
        "backend_port2 = '5433'\n"
        "backend_data_directory2 = '/data/it''s 2'\n"
        "backend_application_name2 = 'server2'\n"
        "backend_hostname0 = '10.0.0.1'\n"
        "backend_port0 = 5432\n"
        "backend_data_directory0 = '/data'\n"
        "backend_weight0 = 1\n"
        "backend_flag0 = 'ALLOW_TO_FAILOVER'\n"
        "log_line_prefix = '%t: pid %p: '\n");
    EXPECT_EQ(conf.path, "/etc/pgpool2/pgpool.conf");
    EXPECT_EQ(conf.backends, (std::vector<Backend>{{0, "10.0.0.1", 5432, "/data", ""},
                                                   {2, "db2", 5433, "/data/it's 2", "server2"},
                                                   {10, "/tmp", 5435, "", ""}}));
    EXPECT_EQ(conf.find(2)->host, "db2");
    EXPECT_EQ(conf.find(1), nullptr);
}

// As seen on 4.3.5: node 1 is passed over, node 3 is reached through the default socket directory.
TEST(PgpoolConf, KnowsABackendByItsPort) {
    const PgpoolConf conf = parse(
        "backend_hostname0 = 'a'\nbackend_port0 = 5432\n"
        "backend_hostname1 = 'b'\n"
        "backend_hostname2 = 'c'\nbackend_port2 = 0\n"
        "backend_port3 = 5433\n");
    EXPECT_EQ(conf.backends, (std::vector<Backend>{{0, "a", 5432, "", ""}, {3, "", 5433, "", ""}}));
    EXPECT_EQ(conf.backends[0].label(), "node 0 (a:5432)");
    EXPECT_EQ(conf.backends[1].label(), "node 3 (local socket:5433)");
}

TEST(PgpoolConf, ReadsWherePcpListens) {
    const PgpoolConf conf = parse(
        "backend_port0 = 5432\npcp_port = 9899\npcp_listen_addresses = 'localhost'\n"
        "pcp_socket_dir = '/run'\n");
    EXPECT_EQ(conf.pcp_port, 9899);
    EXPECT_EQ(conf.pcp_listen_addresses, "localhost");
    EXPECT_EQ(conf.pcp_socket_dir, "/run");
    EXPECT_EQ(parse("backend_port0 = 5432\n").pcp_port, 9898);
}

TEST(PgpoolConf, KnowsTheFollowCommandByTheNameOf41Too) {
    const std::string backend = "backend_port0 = 5432\n";
    EXPECT_TRUE(parse(backend + "follow_primary_command = 'x %d'\n").follows);
    EXPECT_TRUE(parse(backend + "follow_master_command = 'x %d'\n").follows);
    EXPECT_FALSE(parse(backend + "follow_master_command = ''\n").follows);
    EXPECT_FALSE(parse(backend).follows);
}

TEST(PgpoolConf, IgnoresNamesThatOnlyLookLikeBackends) {
    const PgpoolConf conf =
        parse("backend_port = 1\nbackend_portx = 2\nbackend_port0x = 3\nbackend_port1 = 4\n");
    EXPECT_EQ(conf.backends, (std::vector<Backend>{{1, "", 4, "", ""}}));
}

TEST(PgpoolConf, NamesTheLineOfABadNumber) {
    const std::string hint = "; Correct that line of pgpool.conf.";
    EXPECT_EQ(thrown([] { parse("\nbackend_port0 = 'db1'\n"); }),
              "config: pgpool.conf:2: backend_port0 is \"db1\", which is not a port" + hint);
    EXPECT_EQ(thrown([] { parse("backend_port0 = 65536\n"); }),
              "config: pgpool.conf:1: backend_port0 is \"65536\", which is not a port" + hint);
    EXPECT_EQ(thrown([] { parse("backend_port0 = 1\npcp_port = -1\n"); }),
              "config: pgpool.conf:2: pcp_port is \"-1\", which is not a port" + hint);
}

TEST(PgpoolConf, NeedsABackend) {
    EXPECT_EQ(thrown([] { parse("port = 9999\n"); }),
              "config: pgpool.conf: no backend is set; Each backend needs backend_hostnameN and "
              "backend_portN; included files are not read.");
}

}  // namespace
}  // namespace hooks
