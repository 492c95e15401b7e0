// What was measured, and the table that says how it compares.
#pragma once

#include <string>
#include <vector>

namespace hooks::bench {

// The same thing, measured several times.
class Series {
  public:
    void add(double value) { values_.push_back(value); }
    std::size_t size() const { return values_.size(); }
    double median() const;
    double min() const;
    double max() const;

  private:
    std::vector<double> values_;
};

// One line: a measurement and what it may be at most, as a ratio or as it is.
struct Row {
    std::string what;
    std::string ours;
    std::string against;  // what it is compared with; empty for a plain limit
    double value = 0;     // the ratio, or the measured value itself
    double limit = 0;
    std::string unit;  // of value and limit; empty for a ratio

    bool ok() const { return value <= limit; }
};

// Ratio of the medians. `unit` is that of both series.
Row compare(std::string what, const Series& ours, const std::string& other_name,
            const Series& other, double limit, const std::string& unit = "ms");
// The largest value counts.
Row at_most(std::string what, const Series& ours, double limit, const std::string& unit);

// Returns whether every limit was met.
bool print_table(const std::vector<Row>& rows);

}  // namespace hooks::bench
