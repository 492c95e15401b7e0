#include "common/core/error.h"

#include <gtest/gtest.h>

namespace hooks {
namespace {

TEST(Error, SaysItsMessageWhenItHasNoContext) {
    const Error error(ErrorKind::command, "pg_ctl ended with 1", "Look at the server's log.");
    EXPECT_STREQ(error.what(), "pg_ctl ended with 1");
    EXPECT_EQ(error.hint(), "Look at the server's log.");
    EXPECT_EQ(error.kind(), ErrorKind::command);
}

TEST(Error, PutsTheOutermostFrameFirst) {
    Error error(ErrorKind::command, "exit code 1");
    error.add_context("running pg_rewind");
    error.add_context("rewinding node 2");
    EXPECT_STREQ(error.what(), "rewinding node 2: running pg_rewind: exit code 1");
    EXPECT_EQ(error.message(), "exit code 1");
    EXPECT_EQ(error.context(), (std::vector<std::string>{"rewinding node 2", "running pg_rewind"}));
}

TEST(Error, KeepsItsTextWhenItIsCopied) {
    Error error(ErrorKind::sql, "permission denied");
    error.add_context("node 1");
    const Error copy = error;
    EXPECT_STREQ(copy.what(), "node 1: permission denied");
}

TEST(InContext, AddsItsFrameToAnErrorThatPasses) {
    try {
        in_context("node 1", [] {
            in_context("connecting", [] { throw Error(ErrorKind::unreachable, "refused"); });
        });
        FAIL() << "the error did not pass";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "node 1: connecting: refused");
        EXPECT_EQ(error.kind(), ErrorKind::unreachable);
    }
}

TEST(InContext, ReturnsWhatTheBodyReturns) {
    int number = 7;
    EXPECT_EQ(&in_context("frame", [&]() -> int& { return number; }), &number);
}

TEST(InContext, LetsAnInterruptPassUntouched) {
    EXPECT_THROW(in_context("frame", [] { throw Interrupted{15}; }), Interrupted);
}

TEST(ExitCode, TellsApartWhatTheCallerCanDo) {
    EXPECT_EQ(exit_code(ErrorKind::internal), ExitCode::internal);
    EXPECT_EQ(exit_code(ErrorKind::usage), ExitCode::usage);
    EXPECT_EQ(exit_code(ErrorKind::config), ExitCode::usage);
    EXPECT_EQ(exit_code(ErrorKind::refused), ExitCode::refused);
    EXPECT_EQ(exit_code(ErrorKind::unreachable), ExitCode::unreachable);
    EXPECT_EQ(exit_code(ErrorKind::command), ExitCode::failed);
    EXPECT_EQ(exit_code(ErrorKind::sql), ExitCode::failed);
    EXPECT_EQ(exit_code(ErrorKind::timeout), ExitCode::timeout);
}

TEST(ErrorKind, HasAWordForLogs) {
    EXPECT_STREQ(to_string(ErrorKind::internal), "internal");
    EXPECT_STREQ(to_string(ErrorKind::usage), "usage");
    EXPECT_STREQ(to_string(ErrorKind::config), "config");
    EXPECT_STREQ(to_string(ErrorKind::refused), "refused");
    EXPECT_STREQ(to_string(ErrorKind::unreachable), "unreachable");
    EXPECT_STREQ(to_string(ErrorKind::command), "command");
    EXPECT_STREQ(to_string(ErrorKind::sql), "sql");
    EXPECT_STREQ(to_string(ErrorKind::timeout), "timeout");
}

}  // namespace
}  // namespace hooks
