// A run that was killed between the stop of the old primary and the promotion: the next one on this
// host knows of it by a note, and goes on where that one was, instead of taking a server that was
// shut down for one that crashed.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "common/io/unique_fd.h"
#include "failover_command/failover.h"

namespace hooks::failover {
namespace {

// A note is some hundred bytes.
constexpr std::size_t longest_note = 4096;

// Throws Error{internal}.
void write_durably(const std::string& directory, const std::string& name, const std::string& text) {
    const std::string path = directory + "/" + name;
    const std::string fresh = fmt::format("{}.{}", path, ::getpid());
    const auto must = [&](bool ok) {
        if (!ok) {
            throw Error(ErrorKind::internal, fmt::format("{}: {}", path, std::strerror(errno)));
        }
    };
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    must(static_cast<bool>(fd));
    must(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    must(::fsync(fd.get()) == 0);
    must(std::rename(fresh.c_str(), path.c_str()) == 0);
    const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    must(parent && ::fsync(parent.get()) == 0);
}

}  // namespace

std::string Failover::note_name() const {
    return fmt::format("stopped-node{}", request_.detached);
}

// Also for a dry run, which has no state_dir to write to.
std::string Failover::note_path() const {
    return (env_.state_dir.empty() ? env_.config.state_dir : env_.state_dir) + "/" + note_name();
}

void Failover::read_note() {
    if (!request_.detached_was_primary()) {
        return;
    }
    const UniqueFd fd(::open(note_path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    char text[longest_note];
    const ssize_t count = fd ? ::read(fd.get(), text, sizeof text) : 0;
    if (count <= 0) {
        return;
    }
    note_ = parse_stop_note({text, static_cast<std::size_t>(count)});
    if (note_ && !still_counts(*note_, std::time(nullptr))) {
        note_.reset();
    }
    if (note_) {
        env_.log.info("an earlier run stopped the old primary and did not end",
                      {{"node", std::to_string(request_.detached)},
                       {"who", note_->by},
                       {"note", note_path()}});
    }
}

// Before the stop, and whenever what it says is no longer so. Without it the next run would promote
// as after a crash.
void Failover::leave_note() {
    if (env_.state_dir.empty()) {
        return;
    }
    try {
        const StopNote note{std::time(nullptr), "run " + env_.log.run_id(), old_.answered,
                            old_.can_return};
        write_durably(env_.state_dir, note_name(), stop_note_text(note));
    } catch (const Error& error) {
        env_.log.warn("no note about the stop of the old primary", {{"why", error.message()}});
    }
}

void Failover::remove_note() const {
    if (!env_.state_dir.empty() && request_.detached_was_primary()) {
        ::unlink(note_path().c_str());
    }
}

// `fenced_` is the old primary; its server was stopped by the run that left the note.
void Failover::go_on_where_it_was_stopped() {
    old_.stopped = true;
    old_.answered = note_->answered && find(request_.detached)->liveness != Liveness::silent;
    old_.how = fmt::format("by an earlier run ({})", note_->by);
    if (old_.answered && note_->may_return) {
        reserve_time_to_restore();
    }
    judge_stopped(*fenced_, env_.deadline.within(env_.deadline.remaining() / 2));
}

}  // namespace hooks::failover
