// The files under golden/control_files are the first 296 bytes, in base64, of what a server of that
// major version left after a clean stop; the rest of them is zeros.
#include "common/core/control_file.h"

#include <gtest/gtest.h>

#include "common/core/bytes.h"
#include "tests/unit/decision_support.h"
#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

std::string control_file(int major) {
    const auto bytes =
        decode_base64(content_of(HOOKS_GOLDEN_DIR "/control_files/" + std::to_string(major)));
    EXPECT_TRUE(bytes && bytes->size() == 296) << major;
    std::string file = bytes.value_or("");
    file.resize(8192);
    return file;
}

std::string with_checksum(std::string file, std::size_t at) {
    Crc32c crc;
    crc.add(std::string_view(file).substr(0, at));
    for (std::size_t i = 0; i < 4; ++i) {
        file[at + i] = static_cast<char>(crc.value() >> (8 * i) & 0xFF);
    }
    return file;
}

std::string error(const std::string& file) {
    return thrown([&] { parse_control_file(file); });
}

TEST(ControlFile, OfEveryMajorVersionIsRead) {
    struct Expected {
        int major;
        int layout;
        std::uint64_t system_identifier;
        const char* checkpoint;
        bool checksums;
    };
    for (const Expected& expected : {
             Expected{10, 1002, 7712616703933136828U, "0/402E320", false},
             Expected{11, 1100, 7712616771875469096U, "0/402A2B8", false},
             Expected{12, 1201, 7712616832411130687U, "0/402A2F0", false},
             Expected{13, 1300, 7712616881015571805U, "0/4030888", false},
             Expected{14, 1300, 7712616924033116863U, "0/4029E18", false},
             Expected{15, 1300, 7712616984252624230U, "0/4029E18", false},
             Expected{16, 1300, 7712617042084463320U, "0/3030568", false},
             Expected{17, 1700, 7712617098358429320U, "0/30336A8", false},
             Expected{18, 1800, 7712617163169392647U, "0/402BD18", true},
         }) {
        ControlData wanted;
        wanted.pg_control_version = expected.layout;
        wanted.system_identifier = expected.system_identifier;
        wanted.state = ClusterState::shut_down;
        wanted.checkpoint = *parse_lsn(expected.checkpoint);
        wanted.redo = wanted.checkpoint;
        wanted.checkpoint_timeline = 1;
        wanted.wal_log_hints = true;
        wanted.data_checksums = expected.checksums;
        wanted.wal_segment_size = 16777216;
        EXPECT_EQ(parse_control_file(control_file(expected.major)), wanted) << expected.major;
    }
}

TEST(ControlFile, ThatIsDamagedAnywhereIsRefused) {
    for (const int major : {10, 11, 12, 15, 17, 18}) {
        const std::string good = control_file(major);
        const std::size_t end = major == 18 ? 296 : major == 11 ? 284 : 292;
        for (std::size_t i = 0; i < end; ++i) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ 0x10);
            EXPECT_NE(error(bad), "nothing") << major << ", byte " << i;
        }
    }
}

TEST(ControlFile, ThatIsAnotherOneIsRefusedWithTheReason) {
    const std::string good = control_file(15);
    EXPECT_EQ(error(""), "command: global/pg_control: it has 0 bytes, not 8192");
    EXPECT_EQ(error(good.substr(0, 512)), "command: global/pg_control: it has 512 bytes, not 8192");
    std::string other = good;
    other[8] = 0x14;
    other[9] = 0x07;  // 1812
    EXPECT_EQ(
        error(other),
        "command: global/pg_control: its layout, pg_control version number 1812, is not "
        "known here; Install the pg_controldata of that server's own major version beside it.");
    std::string big_endian = good;
    big_endian.replace(8, 4, std::string("\0\0\x05\x14", 4));
    EXPECT_EQ(error(big_endian),
              "command: global/pg_control: it was written by a machine with another byte order");
    std::string damaged = good;
    damaged[40] = static_cast<char>(damaged[40] + 1);
    EXPECT_NE(error(damaged).find("its checksum does not match"), std::string::npos);
    std::string small_pages = good;
    small_pages[225] = 0x10;  // 4096 bytes
    EXPECT_NE(error(with_checksum(small_pages, 288)).find("another alignment or size"),
              std::string::npos);
    std::string state = good;
    state[16] = 9;
    EXPECT_EQ(error(with_checksum(state, 288)), "command: global/pg_control: its state is 9");
    std::string segment = good;
    segment[228] = 1;
    EXPECT_EQ(error(with_checksum(segment, 288)),
              "command: global/pg_control: its segments of WAL have 16777217 bytes");
}

TEST(Bytes, Base64IsReadAsItIsPrinted) {
    EXPECT_EQ(decode_base64(""), "");
    EXPECT_EQ(decode_base64("aGFsZg=="), "half");
    EXPECT_EQ(decode_base64("aGFs\nZiE=\n"), "half!");
    EXPECT_EQ(decode_base64("AP+/"), std::string("\0\xff\xbf", 3));
    for (const char* bad : {"a", "aGF", "aG=s", "====", "aGFs aGFs", "aGF*"}) {
        EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
    }
}

TEST(Bytes, TheChecksumIsTheOneOfCastagnoli) {
    Crc32c crc;
    crc.add("1234");
    crc.add("56789");
    EXPECT_EQ(crc.value(), 0xE3069283U);  // the check value of CRC-32C
}

}  // namespace
}  // namespace hooks
