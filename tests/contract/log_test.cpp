#include "common/io/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

std::string field(const std::string& value) {
    const Log::Field fields[] = {{"key", value}};
    return logfmt(fields, fields + 1);
}

TEST(LogTest, OneLineForEachEvent) {
    testing::internal::CaptureStderr();
    Log log("failover_command");
    log.info("promoted \"node\" 1", {{"node", "1"}, {"why", "two words"}});
    log.debug("not shown");
    log.set_level(LogLevel::debug);
    log.debug("shown");
    const std::string text = testing::internal::GetCapturedStderr();
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    // 2026-11-22T07:40:01.123Z
    std::string shape = line.substr(0, 24);
    std::replace_if(
        shape.begin(), shape.end(), [](char c) { return c >= '0' && c <= '9'; }, '9');
    EXPECT_EQ(shape, "9999-99-99T99:99:99.999Z");
    EXPECT_EQ(line.substr(24), " level=info hook=failover_command run=" + log.run_id() +
                                   " node=1 why=\"two words\" msg=\"promoted \\\"node\\\" 1\"");
    std::getline(lines, line);
    EXPECT_EQ(line.substr(24),
              " level=debug hook=failover_command run=" + log.run_id() + " msg=\"shown\"");
    EXPECT_FALSE(std::getline(lines, line));
    EXPECT_GE(log.run_id().size(), 4U);
}

TEST(LogTest, RunsHaveDifferentIds) {
    EXPECT_NE(Log("a").run_id(), Log("a").run_id());
}

TEST(LogTest, NoValueForgesALineOrAField) {
    EXPECT_EQ(field("plain-value_1/2:3"), "key=plain-value_1/2:3");
    EXPECT_EQ(field(""), "key=\"\"");
    EXPECT_EQ(field("a b"), "key=\"a b\"");
    EXPECT_EQ(field("a\nlevel=error"), "key=\"a\\nlevel=error\"");
    EXPECT_EQ(field("a\"b\\c"), "key=\"a\\\"b\\\\c\"");
    EXPECT_EQ(field("\x1b[31m"), "key=\"\\x1b[31m\"");
    EXPECT_EQ(field("\xc2\x9b"
                    "31m"),
              "key=\"\\u009b31m\"");
    EXPECT_EQ(field("größe"), "key=größe");
    EXPECT_EQ(field(std::string("a\0b", 3)), "key=\"a\\x00b\"");
}

TEST(LogTest, LinesOfThreadsDoNotMix) {
    testing::internal::CaptureStderr();
    Log log("test");
    const std::string message(200, 'x');
    const auto work = [&] {
        for (int i = 0; i < 200; ++i) {
            log.info(message);
        }
    };
    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();
    std::istringstream lines(testing::internal::GetCapturedStderr());
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        const std::size_t at = line.find(" msg=\"" + message + "\"");
        EXPECT_EQ(at + message.size() + 7, line.size()) << line;
    }
    EXPECT_EQ(count, 400);
}

}  // namespace
}  // namespace hooks::contract
