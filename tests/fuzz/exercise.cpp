#include "tests/fuzz/exercise.h"

#include <algorithm>
#include <functional>
#include <string>

#include "common/core/arguments.h"
#include "common/core/conf_file.h"
#include "common/core/config.h"
#include "common/core/conninfo.h"
#include "common/core/control_data.h"
#include "common/core/error.h"
#include "common/core/pgpool_conf.h"
#include "common/core/recovery_conf.h"
#include "common/core/shell_quote.h"
#include "common/core/timeline.h"
#include "common/core/wal_end.h"

namespace hooks {
namespace {

void require(bool property, const char* what) {
    if (!property) {
        throw BrokenProperty(what);
    }
}

bool accepted(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error&) {
        return false;
    }
    return true;
}

void edit(ConfFile file) {
    const std::string value = "it's \\ # \" = x";
    const std::string name = file.settings().empty() ? "fuzz" : file.settings().front().name;
    file.set(name, value);
    const std::string once = file.text();
    file.set(name, value);
    require(file.text() == once, "setting a value twice changes the file twice");

    ConfFile again = ConfFile::parse(once, "again");
    require(again.value(name) == value, "a value that was set is not read back");
    const auto same = [](const ConfSetting& a, const ConfSetting& b) {
        return a.name == b.name && a.value == b.value && a.line == b.line;
    };
    require(std::equal(file.settings().begin(), file.settings().end(), again.settings().begin(),
                       again.settings().end(), same),
            "an edited file is not what its text says");

    again.remove(name);
    require(again.find(name) == nullptr, "a removed setting is still there");
    require(ConfFile::parse(again.text(), "again").find(name) == nullptr,
            "a removed setting comes back");
}

void write_recovery_files(std::string_view input) {
    const RecoverySettings settings{Conninfo::parse("host=a"), "pgpool_node_1", "false"};
    const auto once = recovery_files(15, settings, std::string(input)).writes;
    require(recovery_files(15, settings, once.back().content).writes == once,
            "recovery files differ the second time");
}

}  // namespace

bool exercise_conf(std::string_view input) {
    return accepted([&] {
        const ConfFile file = ConfFile::parse(input, "fuzz");
        require(file.text() == input, "a file that was only read has changed");
        edit(file);
        write_recovery_files(input);
        accepted([&] { parse_config(file); });
        accepted([&] { parse_pgpool_conf(file, "fuzz"); });
    });
}

bool exercise_control_data(std::string_view input) {
    return accepted([&] {
        const ControlData data = parse_control_data(input);
        require(input.find(to_string(data.state)) != input.npos,
                "a state that is not in the input");
        require(data.timeline() >= data.checkpoint_timeline, "a timeline that is too low");
        wal_segment_name(data.timeline(), data.redo, data.wal_segment_size);
    });
}

bool exercise_timeline(std::string_view input) {
    return accepted([&] {
        const TimelineHistory history = TimelineHistory::parse(1000, input);
        const auto& entries = history.entries();
        require(entries.back().timeline == 1000 && !entries.back().end, "a closed last stretch");
        for (std::size_t i = 1; i < entries.size(); ++i) {
            require(entries[i - 1].timeline < entries[i].timeline, "timelines out of order");
            require(entries[i - 1].end == entries[i].begin, "a gap between two stretches");
        }
        const auto ancestor = common_ancestor(history, history);
        require(ancestor && ancestor->timeline == 1000 && !ancestor->end,
                "a history that parts from itself");
    });
}

bool exercise_conninfo(std::string_view input) {
    return accepted([&] {
        const Conninfo conninfo = Conninfo::parse(input);
        require(Conninfo::parse(conninfo.str()).items() == conninfo.items(),
                "a conninfo is not read back");
        ConfFile file = ConfFile::parse("", "fuzz");
        file.set("primary_conninfo", conninfo.str());
        require(ConfFile::parse(file.text(), "fuzz").value("primary_conninfo") == conninfo.str(),
                "a conninfo is not read back from a setting");
        if (const std::string* password = conninfo.find("password")) {
            Conninfo only;
            only.set("password", *password);
            require(only.redacted() == "password=********", "a password is shown");
        }
        quote_sql_literal(conninfo.str());
        accepted([&] { shell_quote(conninfo.str()); });
    });
}

bool exercise_arguments(std::string_view input) {
    bool all_accepted = true;
    while (!input.empty()) {
        const std::size_t end = std::min(input.find('\n'), input.size());
        const std::string_view word = input.substr(0, end);
        input.remove_prefix(std::min(end + 1, input.size()));
        plain_word(word);
        bool any = accepted([&] { parse_node_id(word, "%d"); });
        any |= accepted([&] { parse_port(word, "%p"); });
        any |= accepted([&] {
            const std::string host = parse_host(word, "%h");
            require(host.find_first_of("'\"$`;|&<>\\ \n") == host.npos, "a host for a shell");
        });
        any |= accepted([&] { shell_quote(parse_directory(word, "%D")); });
        all_accepted &= any;
    }
    return all_accepted;
}

bool exercise_waldump(std::string_view input) {
    const auto record = last_waldump_record(input);
    if (!record) {
        return false;
    }
    constexpr std::uint64_t segment_size = 16 * 1024 * 1024;
    const Lsn end = end_of_record(*record, segment_size);
    // The last segment of the 64-bit space is out of reach for any real server.
    require(
        end > record->start || record->start.value > ~std::uint64_t{0} - (std::uint64_t{1} << 34),
        "a record that ends before it begins");
    return true;
}

}  // namespace hooks
