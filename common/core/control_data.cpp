#include "common/core/control_data.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::array<const char*, 7> state_names = {
    "starting up",       "shut down",           "shut down in recovery", "shutting down",
    "in crash recovery", "in archive recovery", "in production",
};

[[noreturn]] void fail(std::string message, std::string hint = {}) {
    throw Error(ErrorKind::command, "pg_controldata: " + std::move(message), std::move(hint));
}

// The words of the warnings differ between versions; that there is one does not.
bool is_warning(std::string_view line) {
    return line.starts_with("WARNING:") || line.find(" warning: ") != std::string_view::npos ||
           line.find("checksum does not match") != std::string_view::npos;
}

class Fields {
  public:
    explicit Fields(std::string_view output) {
        while (!output.empty()) {
            const std::size_t newline = std::min(output.find('\n'), output.size());
            add(output.substr(0, newline));
            output.remove_prefix(std::min(newline + 1, output.size()));
        }
    }

    std::string_view text(std::string_view name) const {
        const auto field = fields_.find(name);
        if (field == fields_.end()) {
            fail(fmt::format("no line \"{}\"", name),
                 "Run the pg_controldata of the cluster's own major version with LC_ALL=C.");
        }
        return field->second;
    }

    template <class Integer>
    Integer number(std::string_view name) const {
        const std::string_view digits = text(name);
        Integer value{};
        const char* const end = digits.data() + digits.size();
        const auto [stopped, error] = std::from_chars(digits.data(), end, value);
        if (error != std::errc() || stopped != end) {
            malformed(name, digits);
        }
        return value;
    }

    Lsn lsn(std::string_view name) const {
        const auto value = parse_lsn(text(name));
        if (!value) {
            malformed(name, text(name));
        }
        return *value;
    }

    bool on(std::string_view name) const {
        const std::string_view value = text(name);
        if (value != "on" && value != "off") {
            malformed(name, value);
        }
        return value == "on";
    }

    [[noreturn]] static void malformed(std::string_view name, std::string_view value) {
        fail(fmt::format("\"{}\" is \"{}\"", name, value));
    }

  private:
    void add(std::string_view line) {
        if (is_warning(line)) {
            fail(std::string(line),
                 "Either this pg_controldata has another major version than the cluster, or "
                 "global/pg_control is damaged.");
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) {
            return;
        }
        std::string_view value = line.substr(colon + 1);
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        value = value.substr(0, value.find_last_not_of(" \r") + 1);
        fields_.emplace(line.substr(0, colon), value);
    }

    std::map<std::string_view, std::string_view> fields_;
};

ClusterState parse_state(std::string_view text) {
    for (std::size_t i = 0; i < state_names.size(); ++i) {
        if (text == state_names[i]) {
            return static_cast<ClusterState>(i);
        }
    }
    Fields::malformed("Database cluster state", text);
}

std::uint64_t parse_segment_size(std::uint64_t bytes) {
    constexpr std::uint64_t one_mib = 1024 * 1024;
    const bool power_of_two = (bytes & (bytes - 1)) == 0;
    if (bytes < one_mib || bytes > 1024 * one_mib || !power_of_two) {
        fail(fmt::format("\"Bytes per WAL segment\" is {}", bytes));
    }
    return bytes;
}

}  // namespace

ControlData parse_control_data(std::string_view pg_controldata_output) {
    const Fields fields(pg_controldata_output);
    ControlData data;
    data.pg_control_version = fields.number<int>("pg_control version number");
    data.system_identifier = fields.number<std::uint64_t>("Database system identifier");
    data.state = parse_state(fields.text("Database cluster state"));
    data.checkpoint = fields.lsn("Latest checkpoint location");
    data.redo = fields.lsn("Latest checkpoint's REDO location");
    data.checkpoint_timeline = fields.number<TimelineId>("Latest checkpoint's TimeLineID");
    data.min_recovery_end = fields.lsn("Minimum recovery ending location");
    data.min_recovery_timeline = fields.number<TimelineId>("Min recovery ending loc's timeline");
    data.wal_log_hints = fields.on("wal_log_hints setting");
    data.data_checksums = fields.number<std::uint32_t>("Data page checksum version") != 0;
    data.wal_segment_size =
        parse_segment_size(fields.number<std::uint64_t>("Bytes per WAL segment"));
    return data;
}

const char* to_string(ClusterState state) {
    return state_names.at(static_cast<std::size_t>(state));
}

}  // namespace hooks
