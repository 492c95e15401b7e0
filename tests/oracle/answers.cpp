#include "tests/oracle/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "common/core/control_file.h"
#include "common/core/wal_end.h"
#include "common/core/wal_scan.h"
#include "common/io/local_node.h"
#include "common/io/process.h"
#include "tests/support/place.h"

namespace hooks::oracle {
namespace {

Deadline patience() {
    return Deadline::after(std::chrono::seconds(60));
}

std::string after(const std::string& text, const std::string& words) {
    const std::size_t at = text.find(words);
    return at == std::string::npos ? "" : text.substr(at + words.size());
}

std::vector<std::string> wal_names(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory + "/pg_wal")) {
        names.push_back(entry.path().filename());
    }
    return names;
}

// As where neither pg_controldata nor pg_waldump is installed.
std::string read_without_tools(const std::string& directory, const NodeReport& report,
                               const std::optional<WalRecord>& last) {
    const ControlData control =
        parse_control_file(harness::read_file(directory + "/global/pg_control"));
    if (control != *report.control) {
        return "its control file";
    }
    WalScan scan({report.major, control.system_identifier, report.timeline(),
                  control.wal_segment_size, wal_scan_start(report)});
    std::string name;
    std::string segment;
    while (const auto page = scan.wanted()) {
        const std::string next =
            wal_segment_name(report.timeline(), *page, control.wal_segment_size);
        if (next != name) {
            name = next;
            segment = harness::read_file(directory + "/pg_wal/" + name);
        }
        const std::uint64_t offset = page->value % control.wal_segment_size;
        scan.feed(std::string_view(segment).substr(std::min<std::size_t>(offset, segment.size()),
                                                   wal_page_size));
    }
    return scan.last() == last ? "" : "the end of its WAL, " + scan.in_words_of_waldump();
}

}  // namespace

WalFiles::WalFiles(const std::string& directory, const TimelineHistory& history) {
    for (const std::string& name : wal_names(directory)) {
        const auto timeline = timeline_of_segment_name(name);
        if (name.size() != 24 || !timeline || history.find(*timeline) == nullptr) {
            continue;
        }
        const std::uint64_t number = std::stoull(name.substr(8, 8), nullptr, 16) * 4096 +
                                     std::stoull(name.substr(16), nullptr, 16);
        // The newest timeline that had begun by then: its first segment holds what came before.
        TimelineId owner = 0;
        for (const TimelineEntry& entry : history.entries()) {
            if (entry.begin.value < (number + 1) * Lab::segment_size) {
                owner = entry.timeline;
            }
        }
        if (timeline == owner) {
            segments_[number] = harness::read_file(directory + "/pg_wal/" + name);
        }
    }
}

const std::string& WalFiles::bytes(std::uint64_t number) const {
    static const std::string none;
    const auto found = segments_.find(number);
    return found == segments_.end() ? none : found->second;
}

Looked look_at(const Member& member, const Lab& lab) {
    LocalNode node(member.server->name());
    const std::string directory = member.server->directory();
    const auto run = [&](std::string_view script, const std::vector<std::string>& arguments) {
        const Outcome outcome = node.run_script(script, arguments, patience());
        if (!outcome.ok()) {
            throw harness::HarnessError(member.server->name() + ": " + outcome.describe());
        }
        return outcome.out;
    };
    const NodeReport report =
        parse_node_report(run(node_report_script, {directory, lab.bin_dir(), "15"}));
    const ControlData& control = *report.control;
    const std::string waldump =
        run(wal_end_script,
            {directory, lab.bin_dir(), std::to_string(report.timeline()),
             to_string(wal_scan_start(report)), std::to_string(control.wal_segment_size)});
    Looked looked{member, target_facts(0, report, waldump), {}, {}, {}, {}};
    const auto record = last_waldump_record(waldump);
    if (record) {
        looked.last_record = record->start;
    }
    looked.read_otherwise = read_without_tools(directory, report, record);
    looked.wal.emplace(directory, *looked.target.history);
    if (member.source) {
        looked.source = SourceFacts{1,
                                    report.major,
                                    false,
                                    control.system_identifier,
                                    *looked.target.history,
                                    *looked.target.end_of_wal,
                                    true,
                                    Lsn{looked.wal->first() * Lab::segment_size}};
    }
    return looked;
}

RewindAnswer ask_pg_rewind(const Server& target, const Server& source, const Lab& lab) {
    const Outcome outcome =
        run_process({{lab.bin_dir() + "/pg_rewind", "--target-pgdata=" + target.directory(),
                      "--source-pgdata=" + source.directory(), "--dry-run", "--no-ensure-shutdown"},
                     {},
                     {}},
                    patience());
    RewindAnswer answer;
    const std::string said = outcome.out + outcome.err;
    answer.text = harness::last_lines(said, outcome.ok() ? 4 : 1);
    const std::string fork = after(said, "servers diverged at WAL location ");
    if (const auto lsn = parse_lsn(fork.substr(0, fork.find(' ')))) {
        answer.fork = *lsn;
    }
    if (!outcome.ok()) {
        return answer;
    }
    if (said.find("are on the same timeline") != std::string::npos) {
        answer.kind = RewindAnswer::Kind::same_timeline;
    } else if (said.find("no rewind required") != std::string::npos) {
        answer.kind = RewindAnswer::Kind::not_needed;
    } else if (answer.fork.valid() && said.find("rewinding from") != std::string::npos) {
        answer.kind = RewindAnswer::Kind::needed;
    } else {
        throw harness::HarnessError("pg_rewind said what nobody here knows: " + said);
    }
    return answer;
}

std::string to_string(const RewindAnswer& answer) {
    switch (answer.kind) {
        case RewindAnswer::Kind::same_timeline:
            return "no rewind (same timeline)";
        case RewindAnswer::Kind::not_needed:
            return fmt::format("no rewind (fork {})", answer.fork);
        case RewindAnswer::Kind::needed:
            return fmt::format("rewind from {}", answer.fork);
        case RewindAnswer::Kind::refused:
            return "refused: " + answer.text;
    }
    return "";
}

std::optional<Lsn> first_difference(const Looked& target, const Looked& source, Lsn end) {
    const std::uint64_t size = Lab::segment_size;
    std::uint64_t number = std::max(target.wal->first(), source.wal->first());
    for (; number * size < end.value; ++number) {
        const std::uint64_t begin = number * size;
        const std::uint64_t length = std::min(size, end.value - begin);
        const std::string& ours = target.wal->bytes(number);
        const std::string& theirs = source.wal->bytes(number);
        // What the source never flushed is not its WAL, whatever a recycled segment holds there.
        const std::uint64_t written = source.source->flushed.value;
        for (std::uint64_t i = 0; i < length; ++i) {
            if (begin + i >= written || i >= ours.size() || i >= theirs.size() ||
                ours[i] != theirs[i]) {
                return Lsn{begin + i};
            }
        }
    }
    return std::nullopt;
}

}  // namespace hooks::oracle
