#include "common/core/connections.h"

#include <gtest/gtest.h>

namespace hooks {
namespace {

const Backend source{1, "pg1", 5433, "/data", "node1"};
const Backend target{2, "pg2", 5432, "/data", "node2"};

TEST(Connections, InspectionUsesTheRoleDatabaseAndPassfileOfThisMachine) {
    Config config = default_config();
    config.passfile = "/etc/pgpass";
    EXPECT_EQ(inspection_conninfo(source, config).str(),
              "host=pg1 port=5433 user=postgres dbname=postgres passfile='/etc/pgpass'");
}

TEST(Connections, ARewindBringsTlsKeywordsAndNoSecretToTheCommandLine) {
    Config config = default_config();
    config.passfile = "/etc/pgpass";  // means nothing on another machine
    config.replication_conninfo = Conninfo::parse(
        "sslmode=verify-full sslrootcert=/ca.crt sslpassword=secret application_name=x");
    const Conninfo conninfo = rewind_source(source, config, 15);
    EXPECT_EQ(conninfo.str(),
              "host=pg1 port=5433 user=postgres dbname=postgres sslmode='verify-full' "
              "sslrootcert='/ca.crt' connect_timeout=10 keepalives_idle=10 keepalives_interval=5 "
              "keepalives_count=3 tcp_user_timeout=30000");
}

// What holds for the one role is not for the other: each may have a certificate of its own.
TEST(Connections, InspectionAndARewindTakeWhatPostgresConninfoSays) {
    Config config = default_config();
    config.postgres_conninfo =
        Conninfo::parse("sslmode=verify-full sslcert=/postgres.crt sslpassword=secret");
    config.replication_conninfo = Conninfo::parse("sslmode=verify-ca sslcert=/repl.crt");
    EXPECT_EQ(inspection_conninfo(source, config).str(),
              "host=pg1 port=5433 user=postgres dbname=postgres sslmode='verify-full' "
              "sslcert='/postgres.crt' sslpassword=secret");
    config.postgres_conninfo.set("user", "somebody");
    EXPECT_EQ(*inspection_conninfo(source, config).find("user"), "postgres");
    const Conninfo rewind = rewind_source(source, config, 15);
    EXPECT_EQ(*rewind.find("sslmode"), "verify-full");
    EXPECT_EQ(*rewind.find("sslcert"), "/postgres.crt");
    EXPECT_EQ(rewind.find("sslpassword"), nullptr);
    const Conninfo backup = backup_source(source, config, 15);
    EXPECT_EQ(*backup.find("sslmode"), "verify-ca");
    EXPECT_EQ(*backup.find("sslcert"), "/repl.crt");
    config.postgres_conninfo = Conninfo::parse("gssencmode=disable");
    EXPECT_EQ(*rewind_source(source, config, 15).find("sslcert"), "/repl.crt");
}

TEST(Connections, KeywordsThatAnOlderLibpqDoesNotKnowAreLeftOut) {
    EXPECT_EQ(rewind_source(source, default_config(), 11).find("tcp_user_timeout"), nullptr);
    const Conninfo present = Conninfo::parse("channel_binding=prefer sslmode=require");
    const Conninfo old = primary_conninfo_for(target, source, default_config(), present, 11);
    EXPECT_EQ(old.find("channel_binding"), nullptr);
    EXPECT_EQ(*old.find("sslmode"), "require");
}

TEST(Connections, ABaseBackupConnectsAsTheReplicationRoleWithoutADatabase) {
    const Conninfo conninfo = backup_source(source, default_config(), 15);
    EXPECT_EQ(*conninfo.find("user"), "repl");
    EXPECT_EQ(conninfo.find("dbname"), nullptr);
    EXPECT_EQ(*conninfo.find("application_name"), "pgpool-hooks");
}

TEST(Connections, WhatIsNotOursToSetIsCarriedOver) {
    const Conninfo present = Conninfo::parse(
        "host=old hostaddr=10.0.0.9 port=1 user=repl password=p dbname=replication "
        "sslmode=require");
    EXPECT_EQ(primary_conninfo_for(target, source, default_config(), present, 15).str(),
              "host=pg1 port=5433 user=repl password=p sslmode=require application_name=node2");
}

// Where logical slots are synchronized from; the walreceiver does not ask for it.
TEST(Connections, TheDatabaseIsCarriedOverFrom17On) {
    const auto database = [](const char* present, int major) {
        const Conninfo conninfo =
            primary_conninfo_for(target, source, default_config(), Conninfo::parse(present), major);
        const std::string* found = conninfo.find("dbname");
        return found != nullptr ? *found : "none";
    };
    EXPECT_EQ(database("host=old dbname=app", 16), "none");
    EXPECT_EQ(database("host=old dbname=app", 17), "app");
    EXPECT_EQ(database("host=old dbname=app", 18), "app");
    EXPECT_EQ(database("host=old dbname=replication", 18), "none");
    EXPECT_EQ(database("host=old dbname=''", 18), "none");
}

TEST(Connections, ThePasswordOfAnotherRoleIsNotCarriedOver) {
    const Conninfo present = Conninfo::parse("user=somebody password=p");
    const Conninfo conninfo = primary_conninfo_for(target, source, default_config(), present, 15);
    EXPECT_EQ(conninfo.find("password"), nullptr);
    EXPECT_EQ(*conninfo.find("user"), "repl");
}

TEST(Connections, TheApplicationNameIsTheConfiguredOneThenPgpoolsThenThePresentThenTheSlots) {
    Config config = default_config();
    Backend unnamed = target;
    unnamed.application_name.clear();
    const auto name = [&](const Backend& node, const char* present) {
        return *primary_conninfo_for(node, source, config, Conninfo::parse(present), 15)
                    .find("application_name");
    };
    EXPECT_EQ(name(unnamed, ""), "pgpool_node_2");
    EXPECT_EQ(name(unnamed, "application_name=walreceiver"), "walreceiver");
    EXPECT_EQ(name(target, "application_name=walreceiver"), "node2");
    config.node_overrides[2].application_name = "chosen";
    EXPECT_EQ(name(target, "application_name=walreceiver"), "chosen");
}

}  // namespace
}  // namespace hooks
