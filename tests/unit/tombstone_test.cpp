#include "common/core/tombstone.h"

#include <gtest/gtest.h>

#include "common/core/conf_file.h"

namespace hooks {
namespace {

Tombstone of_major(int major) {
    Tombstone tombstone;
    tombstone.major = major;
    tombstone.time = "2025-01-02T03:04:05Z";
    tombstone.by = "failover_command on mon1, run 1a2b";
    tombstone.node = "node 0 (10.0.0.1:5432)";
    tombstone.node_id = 0;
    tombstone.successor = "node 1 (10.0.0.2:5432)";
    tombstone.what = "Its server was stopped first";
    return tombstone;
}

TEST(Tombstone, TellsThePersonWhoFindsItWhatHappenedAndWhatToDo) {
    const std::string text = tombstone_text(of_major(15));
    EXPECT_EQ(text.substr(0, text.find('\n')),
              "# Fenced by pgpool-hooks at 2025-01-02T03:04:05Z: node 1 (10.0.0.2:5432) took the "
              "place of this node as the primary.");
    for (const char* part :
         {"This was node 0 (10.0.0.1:5432). Its server was stopped first.",
          "Done by failover_command on mon1, run 1a2b.", "pcp_recovery_node -n 0"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
    EXPECT_EQ(text.rfind(tombstone_mark, 0), 0U);
}

TEST(Tombstone, IsOnlyACommentWhereTheFileAloneStopsTheServer) {
    for (const int major : {12, 15, 18}) {
        EXPECT_TRUE(
            ConfFile::parse(tombstone_text(of_major(major)), "recovery.conf").settings().empty());
    }
}

TEST(Tombstone, MakesAStandbyThatFollowsNobodyOfOlderServers) {
    for (const int major : {10, 11}) {
        const auto file = ConfFile::parse(tombstone_text(of_major(major)), "recovery.conf");
        EXPECT_EQ(file.value("standby_mode"), "on");
        EXPECT_EQ(file.value("recovery_target_timeline"), "latest");
        EXPECT_EQ(file.settings().size(), 2U);
    }
}

}  // namespace
}  // namespace hooks
