// Reads along in the history that the hooks write into state_dir and repeats their verdicts.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "quickstart_demo/narrator.h"

namespace hooks::quickstart {

class HistoryTail {
  public:
    HistoryTail(std::string path, Narrator& narrator);  // begins at once, in a thread of its own

    // Returns when everything that is in the file now was told.
    void catch_up();

  private:
    std::string path_;
    Narrator& narrator_;
    std::mutex mutex_;
    std::size_t told_ = 0;  // bytes
    std::jthread thread_;
};

// The value of a key in a logfmt line; empty when it is not there.
std::string logfmt_value(std::string_view line, std::string_view key);

}  // namespace hooks::quickstart
