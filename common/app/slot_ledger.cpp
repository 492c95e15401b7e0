#include "common/app/slot_ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>

#include "common/io/unique_fd.h"

namespace hooks {
namespace {

std::string ledger_path(const Env& env) {
    return env.state_dir + "/slots";
}

std::string this_host() {
    char name[HOST_NAME_MAX + 1] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
}

// Whoever wrote last may have been cut off in the middle of a line.
bool ends_within_a_line(int fd) {
    struct stat status {};
    char last = '\n';
    return ::fstat(fd, &status) == 0 && status.st_size > 0 &&
           ::pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

}  // namespace

SlotPlace SlotServer::place() const {
    return {fmt::format("{}:{}", backend.host, backend.port), cluster};
}

std::string slot_ledger_text(Env& env) {
    if (env.state_dir.empty()) {
        return {};
    }
    const std::string path = ledger_path(env);
    // Not blocking: a pipe that nobody writes to would hold us for ever.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) {
        return {};
    }
    std::string text;
    char piece[8192];
    ssize_t count = fd ? 1 : -1;
    while (count > 0) {
        count = ::read(fd.get(), piece, sizeof piece);
        text.append(piece, count > 0 ? static_cast<std::size_t>(count) : 0U);
    }
    if (count < 0) {
        env.log.warn("the ledger of slots cannot be read; none is taken for ours",
                     {{"file", path}, {"why", std::strerror(errno)}});
        return {};
    }
    return text;
}

void note_slots(const SlotServer& on, const char* event, const std::vector<std::string>& slots,
                const std::string& why, Env& env) {
    if (slots.empty() || env.state_dir.empty()) {
        return;
    }
    const SlotPlace place = on.place();
    std::string lines;
    for (const std::string& slot : slots) {
        const Log::Field fields[] = {
            {"time", utc_timestamp()},
            {"event", event},
            {"slot", slot},
            {"on", on.backend.label()},
            {"server", place.server},
            {"cluster", std::to_string(place.cluster)},
            {"why", why},
            {"hook", env.hook},
            {"host", this_host()},
            {"run", env.log.run_id()},  // last: a line without it is not whole
        };
        lines += logfmt(std::begin(fields), std::end(fields)) + "\n";
    }
    const std::string path = ledger_path(env);
    const UniqueFd fd(
        ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
    if (fd && ends_within_a_line(fd.get())) {
        lines.insert(0, "\n");
    }
    // One write: several hooks may be at it.
    if (!fd ||
        ::write(fd.get(), lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) {
        env.log.warn("the ledger of slots was not written",
                     {{"file", path},
                      {"event", event},
                      {"slots", fmt::format("{}", fmt::join(slots, " "))},
                      {"why", std::strerror(errno)}});
    }
}

void make_slots(const SlotServer& on, const std::vector<std::string>& slots, const std::string& why,
                Env& env, Deadline deadline) {
    SlotChanges changes;
    const auto note = [&] {
        note_slots(on, "dropped", changes.dropped, "it kept no WAL back", env);
        note_slots(on, "made", changes.made, why, env);
    };
    try {
        create_slots(on.connection, slots, deadline, &changes);
    } catch (const Error&) {
        note();
        throw;
    }
    note();
}

SlotDrop drop_slot_noted(const SlotServer& on, const std::string& slot, const std::string& why,
                         Env& env, Deadline deadline, std::optional<int> unless_held) {
    const SlotDrop end = drop_slot(on.connection, slot, deadline, unless_held);
    if (end == SlotDrop::dropped) {
        note_slots(on, "dropped", {slot}, why, env);
    }
    return end;
}

void clear_standby_of_slots(SlotServer on, Env& env, Deadline deadline) {
    const std::string ledger = slot_ledger_text(env);
    const auto dropped = drop_unused_node_slots(on.connection, deadline);
    if (dropped.empty() && ledger.find(on.place().server) == std::string::npos) {
        return;
    }
    if (on.cluster == 0) {
        on.cluster = std::stoull(
            on.connection.value("SELECT system_identifier FROM pg_control_system()", deadline));
    }
    note_slots(on, "dropped", dropped, "its server is a standby now", env);
    std::set<std::string> gone = slots_in_ledger(ledger, on.place());
    for (const PgRow& row :
         on.connection.query("SELECT slot_name FROM pg_replication_slots", deadline)) {
        gone.erase(row.at(0).value_or(""));
    }
    for (const std::string& slot : dropped) {
        gone.erase(slot);
    }
    note_slots(on, "gone", {gone.begin(), gone.end()},
               "its server is a standby now and has it no more", env);
}

}  // namespace hooks
