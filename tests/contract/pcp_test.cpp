// Pcp against programs that behave as the pcp tools of several versions do, and against the
// installed ones as far as that goes without a pgpool.
#include "common/io/pcp.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

Deadline soon() {
    return Deadline::after(seconds(20));
}

class PcpTest : public testing::Test {
  protected:
    PcpTest() : pcp_({"10.0.0.1", 9898, "pgpool", "/some/passfile", dir_.path()}) {}

    // A program that runs `script`; it notes its arguments and $PCPPASSFILE in calls.NAME.
    void tool(const std::string& name, const std::string& script) {
        write_file(dir_ / name,
                   "#!/bin/sh\ncd '" + dir_.path() + "'\necho \"$PCPPASSFILE $*\" >> calls." +
                       name + "\n" + script + "\n",
                   0755);
    }
    // What pcp_node_info of 4.3 and later prints; the status is in a file.
    void node_info_43() {
        tool("pcp_node_info",
             "s=$(cat status); echo 'Hostname               : Status : 2'\n"
             "echo 'Port                   : 5432'\n"
             "echo \"Status                 : $s\"\n"
             "echo 'Weight                 : 0.333333'\n"
             "echo 'Status Name            : 9'\n"
             "echo 'Backend Status Name    : up'\n"
             "echo 'Role                   : standby'");
    }
    void set_status(int status) { write_file(dir_ / "status", std::to_string(status)); }
    std::size_t calls(const std::string& name) const {
        const std::string text = file_text(dir_ / ("calls." + name));
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }

    TempDir dir_;
    Pcp pcp_;
};

TEST_F(PcpTest, ReadsTheStatus) {
    node_info_43();
    for (const PoolStatus status :
         {PoolStatus::unused, PoolStatus::waiting, PoolStatus::up, PoolStatus::down}) {
        set_status(static_cast<int>(status));
        EXPECT_STREQ(to_string(pcp_.node_status(2, soon())), to_string(status));
    }
    EXPECT_CONTAINS(file_text(dir_ / "calls.pcp_node_info"),
                    "/some/passfile -h 10.0.0.1 -p 9898 -U pgpool -w -n 2 -v\n");
}

TEST_F(PcpTest, ReadsTheStatusOf41) {
    tool("pcp_node_info",
         "printf 'Hostname               : h\\nPort : 5432\\nStatus : 3\\nWeight : 0.5\\n"
         "Status Name : down\\nRole : standby\\nReplication Delay : 0\\n'");
    EXPECT_EQ(pcp_.node_status(1, soon()), PoolStatus::down);
}

TEST_F(PcpTest, OutputWithoutAStatusIsAnError) {
    tool("pcp_node_info", "echo 'Status Name : up'");
    ASSERT_ERROR(error, ErrorKind::command, pcp_.node_status(1, soon()));
}

TEST_F(PcpTest, AWrongPassword) {
    tool("pcp_node_info",
         "echo 'FATAL:  authentication failed for user \"pgpool\"' >&2\n"
         "echo 'DETAIL:  username and/or password does not match' >&2; exit 1");
    ASSERT_ERROR(error, ErrorKind::unreachable, pcp_.node_status(1, soon()));
    EXPECT_CONTAINS(error->hint(), "10.0.0.1:9898:pgpool:PASSWORD");
    EXPECT_CONTAINS(error->hint(), "/some/passfile");
    EXPECT_CONTAINS(error->hint(), "pcp.conf");
}

TEST_F(PcpTest, ARefusalWithExitCodeZeroIsAnError) {
    tool("pcp_node_info", "echo 'ERROR:  invalid node ID' >&2; exit 0");
    ASSERT_ERROR(error, ErrorKind::command, pcp_.node_status(9, soon()));
    EXPECT_CONTAINS(error->message(), "invalid node ID");
}

TEST_F(PcpTest, AttachesAndWaits) {
    node_info_43();
    set_status(3);
    tool("pcp_attach_node", "echo 1 > status; echo 'pcp_attach_node -- Command Successful'");
    pcp_.attach_and_wait(1, soon());
    EXPECT_EQ(calls("pcp_attach_node"), 1U);
}

TEST_F(PcpTest, ANodeThatIsUpIsLeftAlone) {
    node_info_43();
    set_status(2);
    tool("pcp_attach_node", "exit 0");
    pcp_.attach_and_wait(1, soon());
    EXPECT_EQ(calls("pcp_attach_node"), 0U);
}

TEST_F(PcpTest, AsksAgainWhenTheRequestWasDropped) {
    node_info_43();
    set_status(3);
    tool("pcp_attach_node",
         "echo 'pcp_attach_node -- Command Successful'; [ $(wc -l < calls.pcp_attach_node) -lt 2 ] "
         "|| echo 2 > status");
    const Stopwatch watch;
    pcp_.attach_and_wait(1, soon());
    EXPECT_EQ(calls("pcp_attach_node"), 2U);
    EXPECT_GE(watch.elapsed(), milliseconds(1500));
}

TEST_F(PcpTest, OutlivesARestartOfThePcpProcess) {
    // pgpool restarts it after each change of a node's state.
    set_status(3);
    tool("pcp_node_info",
         "n=$(wc -l < calls.pcp_node_info)\n"
         "case $n in 2|3) echo 'ERROR: connection to host \"h\" failed with error \"Connection "
         "refused\"' >&2; exit 1;; esac\n"
         "echo \"Status : $(cat status)\"");
    tool("pcp_attach_node", "echo 1 > status");
    pcp_.attach_and_wait(1, soon());
    EXPECT_EQ(calls("pcp_node_info"), 4U);
}

TEST_F(PcpTest, AQuestionThatMeetsThatRestartIsAskedAgain) {
    tool("pcp_node_info",
         "n=$(wc -l < calls.pcp_node_info)\n"
         "case $n in 1|3) echo 'ERROR: unable to read data from socket.' >&2; exit 1;; esac\n"
         "echo 'Status : 2'; echo 'Role : primary'");
    EXPECT_EQ(pcp_.node_status(1, soon()), PoolStatus::up);
    EXPECT_TRUE(pcp_.shows_primary(1, soon()));
    EXPECT_EQ(calls("pcp_node_info"), 4U);
}

TEST_F(PcpTest, APcpProcessThatNeverAnswersIsGivenUp) {
    tool("pcp_node_info", "echo 'ERROR: unable to read data from socket.' >&2; exit 1");
    ASSERT_ERROR(error, ErrorKind::unreachable, pcp_.node_status(1, Deadline::after(seconds(1))));
    EXPECT_CONTAINS(error->message(), "unable to read data from socket");
    EXPECT_GE(calls("pcp_node_info"), 2U);
}

TEST_F(PcpTest, ANodeThatStaysDown) {
    node_info_43();
    set_status(3);
    tool("pcp_attach_node", "exit 0");
    ASSERT_ERROR(error, ErrorKind::timeout,
                 pcp_.attach_and_wait(1, Deadline::after(milliseconds(500))));
    EXPECT_CONTAINS(error->message(), "still shows node 1 as down");
}

TEST_F(PcpTest, AToolThatHangs) {
    tool("pcp_node_info", "exec sleep 300");
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 pcp_.node_status(1, Deadline::after(milliseconds(300))));
    EXPECT_LT(watch.elapsed(), seconds(3));
}

TEST_F(PcpTest, TheInstalledToolsAndNoPgpool) {
    const Pcp pcp({"127.0.0.1", free_port(), "pgpool", "/nonexistent", ""});
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::unreachable, pcp.node_status(0, soon()));
    EXPECT_CONTAINS(error->hint(), "pcp_port");
    EXPECT_LT(watch.elapsed(), seconds(10));
}

}  // namespace
}  // namespace hooks::contract
