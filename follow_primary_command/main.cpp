// follow_primary_command: a node shall follow the new primary. What is quick is done here, the
// rest by a detached worker (this executable again, with --worker), so that pgpool can go on.
#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "common/app/bring_up.h"
#include "common/app/node_lock.h"
#include "common/app/pool.h"
#include "common/app/rejoin_job.h"
#include "common/app/run_hook.h"
#include "common/core/connections.h"
#include "common/io/process.h"
#include "follow_primary_command/decide.h"

namespace hooks::follow {
namespace {

// How long pgpool's follow loop is held up by one node at most; after that a worker goes on.
constexpr std::chrono::seconds quick_part{10};

class Follow {
  public:
    Follow(const Arguments& words, Env& env)
        : env_(env),
          request_(parse_request(words, env.pgpool)),
          target_(*env.pgpool.find(request_.node)),
          source_(*env.pgpool.find(request_.new_primary)),
          quick_(env.deadline.within(quick_part)) {}

    Verdict run() {
        if (env_.worker || (env_.dry_run && !serves())) {
            return run_rejoin({source_, target_, false, true}, env_);
        }
        const Decision decision = env_.timings.measure("inspect", [&] { return inspect(); });
        try {
            const Carried carried =
                carry_out(decision, env_, [&](const Step& step) { return perform(step); });
            return verdict_of(decision, carried, done_, env_);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout && error.kind() != ErrorKind::unreachable) {
                throw;
            }
            env_.log.warn("not done in the time that pgpool should be held up",
                          {{"node", std::to_string(request_.node)}, {"why", error.what()}});
            env_.proving = false;
            hand_over();
            return verdict_of(decision, Carried::out, done_, env_);
        }
    }

  private:
    bool serves() {
        look();
        return find_server(seen_, request_.node)->server.has_value();
    }

    void look() {
        if (looks_.empty()) {
            looks_ = look_at_servers({source_, target_}, env_);
            seen_ = seen_of(looks_);
        }
    }

    Decision inspect() {
        look();
        Policy policy;
        policy.rejoin_old_primary = env_.config.rejoin_old_primary;
        policy.rejoin.base_backup = env_.config.base_backup != BaseBackupPolicy::never;
        policy.rejoin.stop_running_primary = env_.config.rejoin_old_primary;
        std::optional<SourceFacts> source;
        std::optional<TargetFacts> target;
        PgConnection* primary = connection_to(looks_, source_.id);
        PgConnection* standby = connection_to(looks_, target_.id);
        if (primary != nullptr && standby != nullptr && looks_.front().seen.is_primary()) {
            try {
                // In this order: a standby that streams would seem to be ahead of where its
                // primary was before.
                target = read_running_target(*standby, target_.id, quick_);
                source = read_source_facts(*primary, source_.id, quick_);
            } catch (const Error& error) {
                env_.log.warn("facts could not be read", {{"why", error.what()}});
            }
        }
        return decide(request_, *find_server(seen_, source_.id), *find_server(seen_, target_.id),
                      source, target, policy);
    }

    bool perform(const Step& step) {
        PgConnection* primary = connection_to(looks_, source_.id);
        PgConnection* standby = connection_to(looks_, target_.id);
        if (const auto* slots = std::get_if<CreateSlots>(&step)) {
            lock_node(*primary, target_.id, quick_);
            create_slots(*primary, slots->slots, quick_);
        } else if (std::holds_alternative<Repoint>(step)) {
            const auto present = standby->query(
                "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'", quick_);
            const Conninfo conninfo = primary_conninfo_for(
                target_, source_, env_.config,
                present.empty() ? Conninfo() : Conninfo::parse(present[0].at(0).value_or("")),
                standby->major_version());
            repoint(*standby, conninfo.str(), slot_name(target_.id), quick_);
        } else if (std::holds_alternative<ProveStreaming>(step)) {
            const Proof proof = prove_streaming(*primary, *standby, quick_);
            drop_slots_of_a_former_primary(*standby, env_, quick_);
            done_ = fmt::format(
                "{} follows {} on timeline {}, streams and replayed {}; its server "
                "was not restarted",
                target_.label(), source_.label(), proof.timeline, proof.marker);
        } else if (std::holds_alternative<AttachNode>(step)) {
            attach_node(target_.id, env_, quick_);
            done_ += "; it is attached";
        } else if (std::holds_alternative<HandOver>(step)) {
            hand_over();
        } else {
            throw Error(ErrorKind::internal, "not a step of a quick follow: " + text(step));
        }
        return true;
    }

    void hand_over() {
        looks_.clear();  // with the connection goes the lock, which the worker takes
        char self[PATH_MAX] = {};
        char config[PATH_MAX] = {};
        if (::readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
            ::realpath(env_.config_path.c_str(), config) == nullptr) {
            throw Error(ErrorKind::internal, "cannot tell the path of this executable");
        }
        Command command;
        command.argv = {self, "--config", config, "--worker"};
        command.argv.insert(command.argv.end(), env_.arguments.begin(), env_.arguments.end());
        const std::string log = env_.state_dir.empty() ? "/dev/null"
                                                       : fmt::format("{}/worker-node{}.log",
                                                                     env_.state_dir, target_.id);
        const pid_t pid = spawn_detached(command, log);
        done_ = fmt::format(
            "{}: handed over to a worker, pid {}, which attaches the node when it is "
            "a standby of {}; its log is {}",
            target_.label(), pid, source_.label(), log);
    }

    Env& env_;
    Request request_;
    Backend target_;
    Backend source_;
    Deadline quick_;
    std::vector<ServerLook> looks_;  // primary, target
    std::vector<ServerSeen> seen_;
    std::string done_;
};

}  // namespace
}  // namespace hooks::follow

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec;
    spec.name = "follow_primary_command";
    spec.summary = "make a node a streaming standby of the new primary, and attach it";
    spec.arguments = "%d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
    const std::string line = pool_command_line("follow_primary_command");
    spec.called_as = line.c_str();
    // The steps have deadlines of their own; a base backup takes what it takes.
    spec.deadline = [](const Config&) { return Deadline::never(); };
    spec.body = [](const Arguments& words, Env& env) { return follow::Follow(words, env).run(); };
    return run_hook(spec, argc, argv);
}
