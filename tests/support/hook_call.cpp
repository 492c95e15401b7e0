#include "tests/support/hook_call.h"

#include <gtest/gtest.h>

#include <chrono>
#include <sstream>

#include "tests/support/cluster_files.h"

namespace hooks::harness {
namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string history(const Cluster& cluster) {
    return read_file(cluster.state_dir() + "/history");
}

void expect_no_secret(const std::string& text) {
    for (const char* secret : {Secrets::kSuperuser, Secrets::kReplication, Secrets::kPcp}) {
        EXPECT_FALSE(contains(text, secret)) << "\"" << secret << "\" stands in: " << text;
    }
}

void expect_in_history(const Cluster& cluster, const HookCall& call) {
    const auto line = parse_logfmt(last_lines(history(cluster), 1));
    for (const char* key : {"exit", "verdict", "next", "rule"}) {
        const auto found = line.find(key);
        EXPECT_EQ(found == line.end() ? "(no such field)" : found->second, call.field(key))
            << key << " in the history: " << last_lines(history(cluster), 1);
    }
    EXPECT_EQ(line.count("hook") != 0 ? line.at("hook") : "", call.hook);
}

}  // namespace

const std::vector<std::string>& hook_names() {
    static const std::vector<std::string> names{"failover_command", "follow_primary_command",
                                                "recovery_1st_stage", "pgpool_remote_start"};
    return names;
}

std::vector<std::string> right_words(const Cluster& cluster, const std::string& hook, int target,
                                     int primary) {
    const std::string target_port = std::to_string(cluster.port(target));
    const std::string primary_port = std::to_string(cluster.port(primary));
    if (hook == "recovery_1st_stage") {
        return {cluster.data_directory(primary),
                cluster.host(target),
                cluster.data_directory(target),
                primary_port,
                std::to_string(target),
                target_port,
                cluster.host(primary)};
    }
    if (hook == "pgpool_remote_start") {
        return {cluster.host(target), cluster.data_directory(target)};
    }
    const std::string main = std::to_string(primary);
    return {std::to_string(target),
            cluster.host(target),
            target_port,
            cluster.data_directory(target),
            main,
            cluster.host(primary),
            "0",
            main,
            primary_port,
            cluster.data_directory(primary),
            cluster.host(primary),
            primary_port};
}

std::string HookCall::field(const std::string& key) const {
    if (verdicts.size() != 1) {
        return {};
    }
    const auto found = verdicts[0].find(key);
    return found == verdicts[0].end() ? std::string() : found->second;
}

std::string HookCall::text() const {
    return hook + ", exit code " + std::to_string(outcome.exit_code) +
           (outcome.signal.empty() ? "" : ", signal " + outcome.signal) + ", " +
           std::to_string(took.count()) + " ms\n" + outcome.out + outcome.err;
}

std::map<std::string, std::string> parse_logfmt(const std::string& line) {
    std::map<std::string, std::string> fields;
    std::size_t at = 0;
    while (at < line.size() && line[at] != '\n') {
        const std::size_t equals = line.find_first_of("= ", at);
        if (equals == std::string::npos) {
            break;
        }
        if (line[equals] == ' ') {
            at = equals + 1;
            continue;
        }
        std::string value;
        std::size_t end = equals + 1;
        if (end < line.size() && line[end] == '"') {
            for (++end; end < line.size() && line[end] != '"'; ++end) {
                if (line[end] == '\\' && end + 1 < line.size()) {
                    ++end;
                    value += line[end] == 'n' ? '\n' : line[end];
                } else {
                    value += line[end];
                }
            }
            ++end;
        } else {
            while (end < line.size() && line[end] != ' ' && line[end] != '\n') {
                value += line[end++];
            }
        }
        fields[line.substr(at, equals - at)] = value;
        at = end + 1;
    }
    return fields;
}

HookCall read_call(std::string hook, Outcome outcome, Milliseconds took) {
    HookCall call{std::move(hook), std::move(outcome), took, {}, {}};
    std::istringstream lines(call.outcome.err);
    for (std::string line; std::getline(lines, line);) {
        const auto fields = parse_logfmt(line);
        if (fields.count("level") == 0 || fields.count("msg") == 0) {
            call.stray += line + "\n";
        } else if (fields.at("msg") == "verdict") {
            call.verdicts.push_back(fields);
        }
    }
    return call;
}

HookCall call_hook(const Cluster& cluster, const std::string& hook,
                   const std::vector<std::string>& arguments, const Environment& environment) {
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome = cluster.run_hook(hook, arguments, environment);
    const auto took =
        std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
    return read_call(hook, std::move(outcome), took);
}

void expect_complaint(const Cluster& cluster, const HookCall& call, const Complaint& complaint) {
    SCOPED_TRACE(call.text());
    EXPECT_EQ(call.outcome.exit_code, static_cast<int>(complaint.exit));
    EXPECT_EQ(call.verdicts.size(), 1U);
    EXPECT_EQ(call.stray, "") << "printed beside the events";
    EXPECT_EQ(call.outcome.out, "");
    EXPECT_EQ(call.field("exit"), std::to_string(call.outcome.exit_code));
    for (const std::string& part : complaint.says) {
        EXPECT_TRUE(contains(call.field("verdict"), part))
            << "verdict does not say \"" << part << "\": " << call.field("verdict");
    }
    EXPECT_NE(call.field("next"), "") << "nothing to do next";
    for (const std::string& part : complaint.next) {
        EXPECT_TRUE(contains(call.field("next"), part))
            << "next does not say \"" << part << "\": " << call.field("next");
    }
    EXPECT_LT(call.took.count(), complaint.within.count()) << "ms";
    expect_no_secret(call.text());
    expect_no_secret(history(cluster));
    if (complaint.in_history) {
        expect_in_history(cluster, call);
    }
}

}  // namespace hooks::harness
