#include "tests/bench/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace hooks::bench {
namespace {

std::string number(double value) {
    return value < 20 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string text(const Series& series, const std::string& unit) {
    return fmt::format("{} {} ({} to {})", number(series.median()), unit, number(series.min()),
                       number(series.max()));
}

using Line = std::array<std::string, 5>;

Line line(const Row& row) {
    const std::string format = row.unit.empty() ? "{:.3f}" : "{:.1f} " + row.unit;
    const std::string limit = row.unit.empty() ? fmt::format("{:.3g}", row.limit)
                                               : fmt::format("{:g} {}", row.limit, row.unit);
    return {row.what, row.ours, row.against, fmt::format(fmt::runtime(format), row.value),
            fmt::format("at most {}: {}", limit, row.ok() ? "ok" : "MISSED")};
}

}  // namespace

double Series::median() const {
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted.at(half) : (sorted.at(half - 1) + sorted.at(half)) / 2;
}

double Series::min() const {
    return *std::min_element(values_.begin(), values_.end());
}

double Series::max() const {
    return *std::max_element(values_.begin(), values_.end());
}

Row compare(std::string what, const Series& ours, const std::string& other_name,
            const Series& other, double limit, const std::string& unit) {
    return {std::move(what),
            text(ours, unit),
            other_name + ": " + text(other, unit),
            ours.median() / other.median(),
            limit,
            ""};
}

Row at_most(std::string what, const Series& ours, double limit, const std::string& unit) {
    return {std::move(what), text(ours, unit), "", ours.max(), limit, unit};
}

bool print_table(const std::vector<Row>& rows) {
    std::vector<Line> lines = {{"what", "median (min to max)", "against", "value", "limit"}};
    bool ok = true;
    for (const Row& row : rows) {
        lines.push_back(line(row));
        ok = ok && row.ok();
    }
    std::array<std::size_t, 5> widths{};
    for (const Line& line : lines) {
        for (std::size_t column = 0; column < line.size(); ++column) {
            widths[column] = std::max(widths[column], line[column].size());
        }
    }
    for (const Line& line : lines) {
        std::string out;
        for (std::size_t column = 0; column < line.size(); ++column) {
            out += fmt::format("{:<{}}", line[column],
                               column + 1 < line.size() ? widths[column] + 2 : 0);
        }
        std::puts(out.c_str());
    }
    std::fflush(stdout);
    return ok;
}

}  // namespace hooks::bench
