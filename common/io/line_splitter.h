// Cuts a stream that arrives in pieces into lines.
#pragma once

#include <string>
#include <string_view>

namespace hooks {

// '\n', '\r' and "\r\n" each end one line: progress reports are written with '\r'.
class LineSplitter {
  public:
    template <class Sink>
    void feed(std::string_view piece, const Sink& sink) {
        for (const char c : piece) {
            const bool second_half = c == '\n' && after_return_;
            after_return_ = c == '\r';
            if (second_half) {
                continue;
            }
            if (c == '\n' || c == '\r') {
                flush(sink);
            } else {
                line_ += c;
            }
        }
    }

    // The last line may have no end.
    template <class Sink>
    void finish(const Sink& sink) {
        if (!line_.empty()) {
            flush(sink);
        }
    }

  private:
    template <class Sink>
    void flush(const Sink& sink) {
        const std::string line = std::move(line_);
        line_.clear();
        sink(std::string_view(line));
    }

    std::string line_;
    bool after_return_ = false;
};

}  // namespace hooks
