// Replays the corpus of the fuzz targets. A file of a corpus that begins with "bad" is refused by
// its parser, any other is accepted.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fuzz/exercise.h"

namespace hooks {
namespace {

std::string content_of(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream content;
    content << stream.rdbuf();
    return content.str();
}

class Corpus : public testing::TestWithParam<Grammar> {};

TEST_P(Corpus, IsAcceptedOrRefusedAsEachFileSays) {
    int good = 0;
    int bad = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(HOOKS_CORPUS_DIR "/") + GetParam().name)) {
        SCOPED_TRACE(entry.path().string());
        const bool is_bad = entry.path().filename().string().starts_with("bad");
        (is_bad ? bad : good) += 1;
        bool accepted = is_bad;
        EXPECT_NO_THROW(accepted = GetParam().exercise(content_of(entry.path())));
        EXPECT_EQ(accepted, !is_bad);
    }
    EXPECT_GT(good, 0);
    EXPECT_GT(bad, 0);
}

// Every prefix of a good file, and every file with one byte changed, is a case that a crash, a full
// disk or an editor can make.
TEST_P(Corpus, DoesNoHarmWhenItIsDamaged) {
    std::size_t damaged = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(HOOKS_CORPUS_DIR "/") + GetParam().name)) {
        SCOPED_TRACE(entry.path().string());
        const std::string content = content_of(entry.path());
        const std::size_t step = content.size() / 64 + 1;
        for (std::size_t at = 0; at < content.size(); at += step, ++damaged) {
            EXPECT_NO_THROW(GetParam().exercise(std::string_view(content).substr(0, at)));
            for (const char c : {'\0', '\'', '\\', '\n', '\xff', '9'}) {
                std::string changed = content;
                changed[at] = c;
                EXPECT_NO_THROW(GetParam().exercise(changed)) << "offset " << at;
            }
        }
    }
    EXPECT_GT(damaged, 0U);
}

INSTANTIATE_TEST_SUITE_P(Grammars, Corpus, testing::ValuesIn(grammars),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace hooks
