// pgpool_remote_start: start the recovered node; done when it streams from its primary.
#include <fmt/format.h>

#include <sstream>

#include "common/app/bring_up.h"
#include "common/app/node_lock.h"
#include "common/app/run_hook.h"
#include "common/io/poll.h"
#include "pgpool_remote_start/decide.h"
#include "pgpool_remote_start/request.h"

namespace hooks::remote_start {
namespace {

class RemoteStart {
  public:
    RemoteStart(const Arguments& words, Env& env)
        : env_(env),
          backend_(parse_request(words, env.pgpool)),
          target_{backend_, env.config.node(backend_.id), nullptr, {}, {}} {}

    Verdict run() {
        target_.node = make_node(backend_, env_.config, env_.deadline);
        env_.timings.measure("inspect", [&] {
            in_context("looking at the node", [&] { look_at_files(target_, 0, env_.deadline); });
        });
        const Decision decision = decide(backend_, target_.report);
        const Carried carried =
            carry_out(decision, env_, [&](const Step& step) { return perform(step); });
        if (carried == Carried::out) {
            remove_previous(target_, env_, env_.deadline);
        }
        return verdict_of(decision, carried, done_, env_);
    }

  private:
    bool perform(const Step& step) {
        if (std::holds_alternative<StartServer>(step)) {
            if (backend_.id >= 0) {
                primary_ = connect_primary();
                wait_for_lock(*primary_, backend_.id, env_,
                              env_.deadline.within(std::chrono::seconds(30)), env_.deadline);
            }
            start_as_it_is_now();
            return true;
        }
        target_.backend.port = find_port();
        if (!primary_) {
            primary_ = connect_primary();
        }
        const Proof proof = prove_standby(target_, *primary_, env_, env_.deadline);
        done_ = fmt::format("{} is a standby on timeline {}, streams from {} and {}",
                            host_and_port(backend_.host, std::to_string(target_.backend.port)),
                            proof.timeline, primary_->label(), proof.reached) +
                proof.remark;
        return true;
    }

    // Whoever had the lock until now may have started it, or may have been cut off midway.
    void start_as_it_is_now() {
        look_at_files(target_, 0, env_.deadline);
        const Decision decision = decide(backend_, target_.report);
        if (const auto* refuse = std::get_if<Refuse>(&decision)) {
            throw Error(ErrorKind::refused, refuse->reason, refuse->next);
        }
        if (!target_.report.running) {
            start_server(target_, env_, env_.deadline);
        }
    }

    // Pgpool passes no port. The server writes it into the fourth line of postmaster.pid.
    int find_port() {
        if (backend_.port != 0) {
            return backend_.port;
        }
        const Deadline deadline = env_.deadline.within(std::chrono::seconds(30));
        for (;;) {
            const auto content =
                target_.node->read_file(target_.directory() + "/postmaster.pid", deadline);
            std::istringstream lines(content.value_or(""));
            std::string line;
            for (int number = 1; std::getline(lines, line); ++number) {
                if (number == 4 && !line.empty()) {
                    return parse_port(line, "the port in postmaster.pid");
                }
            }
            if (deadline.expired() || !server_is_running(target_, deadline)) {
                throw Error(
                    ErrorKind::command,
                    fmt::format("{}: the server in {} did not come up:\n{}", target_.node->label(),
                                target_.directory(), end_of_server_log(target_, env_.deadline)),
                    "Correct what its log says, then run pcp_recovery_node again.");
            }
            pause_for(std::chrono::milliseconds(50), deadline);
        }
    }

    // The one that the target was told to follow.
    std::unique_ptr<PgConnection> connect_primary() {
        const Conninfo follows = present_primary_conninfo(target_, env_.deadline);
        const std::string* host = follows.find("host");
        const std::string* port = follows.find("port");
        if (host == nullptr) {
            throw Error(ErrorKind::refused,
                        fmt::format("{}: no primary_conninfo with a host in {}",
                                    target_.node->label(), target_.directory()),
                        "Run pcp_recovery_node again: its first stage writes it.");
        }
        Backend primary;
        primary.host = *host;
        primary.port = port != nullptr ? parse_port(*port, "the port in primary_conninfo") : 5432;
        return PgConnection::connect(inspection_conninfo(primary, env_.config), session_name(env_),
                                     env_.deadline.within(std::chrono::seconds(10)));
    }

    Env& env_;
    Backend backend_;
    Target target_;
    std::unique_ptr<PgConnection> primary_;  // holds the lock of the node
    std::string done_;
};

}  // namespace
}  // namespace hooks::remote_start

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec{hook_text("pgpool_remote_start")};
    spec.needs_pgpool_conf = false;
    spec.deadline = [](const Config& config) { return Deadline::after(config.follow_timeout); };
    spec.body = [](const Arguments& words, Env& env) {
        return remote_start::RemoteStart(words, env).run();
    };
    return run_hook(spec, argc, argv);
}
