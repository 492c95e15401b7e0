#include "tests/soak_src/faults.h"

#include <fmt/format.h>
#include <signal.h>

#include <memory>

#include "common/core/error.h"
#include "tests/support/process_table.h"

namespace hooks::soak {
namespace {

using harness::kHub;
using harness::StopMode;

std::string node_name(int node) {
    return node == kHub ? "pgpool" : fmt::format("node {}", node);
}

// What systemd does with Restart=on-failure; a hook may have been faster.
std::function<void()> start_again(World& world, int node) {
    world.keeper.looks_after(node);
    return [&world, node] {
        try {
            if (!world.cluster.postgres_runs(node)) {
                world.cluster.server(node).launch();
            }
        } catch (const harness::HarnessError&) {
            // The keeper recovers it later.
        }
        world.keeper.looks_after(node);
    };
}

// A standby that could not be reached for a while is attached again by the keeper.
std::function<void()> and_look_after(World& world, int node, std::function<void()> heal) {
    world.keeper.looks_after(node);
    return [&world, node, heal = std::move(heal)] {
        heal();
        world.keeper.looks_after(node);
    };
}

Strike kill_primary(World& world, const Draw& draw) {
    world.cluster.kill_postgres_at_once(draw.primary);
    return {node_name(draw.primary), {draw.primary}, {}};
}

Strike stop_primary(World& world, const Draw& draw) {
    world.cluster.stop_postgres(draw.primary, StopMode::fast);
    return {node_name(draw.primary), {draw.primary}, {}};
}

Strike crash_primary(World& world, const Draw& draw) {
    world.cluster.stop_postgres(draw.primary, StopMode::immediate);
    return {node_name(draw.primary), {draw.primary}, {}};
}

Strike kill_standby(World& world, const Draw& draw) {
    world.cluster.kill_postgres_at_once(draw.standby);
    return {node_name(draw.standby), {draw.standby}, start_again(world, draw.standby)};
}

Strike stop_standby(World& world, const Draw& draw) {
    world.cluster.stop_postgres(draw.standby, StopMode::fast);
    return {node_name(draw.standby), {draw.standby}, start_again(world, draw.standby)};
}

Strike freeze(World& world, int node, bool standby) {
    const harness::PostgresServer& server = world.cluster.server(node);
    server.freeze();
    // Remembered: when somebody kills the postmaster, its children still have to be woken.
    std::vector<pid_t> family = harness::children_of(server.pid());
    family.push_back(server.pid());
    auto thaw = [family] {
        for (const pid_t pid : family) {
            if (pid > 1 && harness::is_alive(pid)) {
                ::kill(pid, SIGCONT);
            }
        }
    };
    return {node_name(node), {node}, standby ? and_look_after(world, node, thaw) : thaw};
}
Strike freeze_primary(World& world, const Draw& draw) {
    return freeze(world, draw.primary, false);
}
Strike freeze_standby(World& world, const Draw& draw) {
    return freeze(world, draw.standby, true);
}

Strike cut_primary(World& world, const Draw& draw) {
    world.cluster.network().cut_host(draw.primary);
    return {node_name(draw.primary), {draw.primary}, [&world, node = draw.primary] {
                world.cluster.network().heal_host(node);
            }};
}

Strike cut_standby(World& world, const Draw& draw) {
    world.cluster.network().cut_host(draw.standby);
    return {node_name(draw.standby),
            {draw.standby},
            and_look_after(world, draw.standby, [&world, node = draw.standby] {
                world.cluster.network().heal_host(node);
            })};
}

std::function<void()> cut_from_pgpool(World& world, int node) {
    harness::Network& network = world.cluster.network();
    network.cut_one_way(kHub, node);
    network.cut_one_way(node, kHub);
    return [&network, node] {
        network.heal_one_way(kHub, node);
        network.heal_one_way(node, kHub);
    };
}

Strike blind_primary(World& world, const Draw& draw) {
    return {node_name(draw.primary), {draw.primary}, cut_from_pgpool(world, draw.primary)};
}
Strike blind_standby(World& world, const Draw& draw) {
    return {node_name(draw.standby),
            {draw.standby},
            and_look_after(world, draw.standby, cut_from_pgpool(world, draw.standby))};
}

Strike cut_one_way(World& world, const Draw& draw) {
    const int hosts[] = {kHub, draw.primary, draw.standby};
    const int from = hosts[draw.any % 3];
    const int to = hosts[(draw.any + 1 + draw.any / 3 % 2) % 3];
    world.cluster.network().cut_one_way(from, to);
    return {node_name(from) + " to " + node_name(to),
            {draw.primary, draw.standby},
            and_look_after(world, draw.standby,
                           [&world, from, to] { world.cluster.network().heal_one_way(from, to); })};
}

Strike slow(World& world, int node, bool standby) {
    world.cluster.network().slow_host(node, "250kbit");
    auto heal = [&world, node] { world.cluster.network().heal_slow_host(node); };
    return {node_name(node), {node}, standby ? and_look_after(world, node, heal) : heal};
}
Strike slow_primary(World& world, const Draw& draw) {
    return slow(world, draw.primary, false);
}
Strike slow_standby(World& world, const Draw& draw) {
    return slow(world, draw.standby, true);
}

std::function<void()> without_sshd(World& world, int node) {
    world.cluster.kill_sshd(node);
    return [&world, node] {
        if (world.cluster.sshd(node).pid() == 0) {  // a second fault may have had the same one
            world.cluster.start_sshd(node);
        }
    };
}

Strike kill_primary_without_sshd(World& world, const Draw& draw) {
    auto heal = without_sshd(world, draw.primary);
    world.cluster.kill_postgres_at_once(draw.primary);
    return {node_name(draw.primary), {draw.primary}, heal};
}

Strike kill_primary_standby_without_sshd(World& world, const Draw& draw) {
    auto heal = without_sshd(world, draw.standby);
    world.cluster.kill_postgres_at_once(draw.primary);
    return {node_name(draw.primary) + ", sshd of " + node_name(draw.standby), {draw.primary}, heal};
}

std::string pcp(World& world, const char* tool, std::vector<std::string> arguments) {
    const Outcome outcome = world.cluster.pcp(tool, std::move(arguments));
    return outcome.ok() ? "" : ": " + outcome.describe();
}

Strike switchover(World& world, const Draw& draw) {
    const std::string said =
        pcp(world, "pcp_promote_node", {"-s", "-n", std::to_string(draw.standby)});
    return {"to " + node_name(draw.standby) + said, {draw.primary}, {}};
}

Strike detach(World& world, int node) {
    const std::string said = pcp(world, "pcp_detach_node", {"-n", std::to_string(node)});
    return {node_name(node) + said, {node}, {}};
}
Strike detach_primary(World& world, const Draw& draw) {
    return detach(world, draw.primary);
}
Strike detach_standby(World& world, const Draw& draw) {
    Strike strike = detach(world, draw.standby);
    strike.heal = and_look_after(world, draw.standby, [] {});
    return strike;
}

Strike rebuild_standby(World& world, const Draw& draw) {
    world.cluster.kill_postgres_at_once(draw.standby);
    world.cluster.wipe(draw.standby);
    // pcp_recovery_node, as soon as pgpool has noticed.
    return {node_name(draw.standby), {draw.standby}, and_look_after(world, draw.standby, [] {})};
}

Strike restart_pgpool(World& world, const Draw&) {
    world.cluster.pgpool().stop();
    return {"", {}, [&world] { world.cluster.pgpool().start_again(); }};
}

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
    using std::chrono::milliseconds;
    static const std::vector<FaultKind> kinds{
        {"kill-primary", Target::primary, 5, milliseconds(0), milliseconds(0), false, kill_primary},
        {"stop-primary", Target::primary, 2, milliseconds(0), milliseconds(0), false, stop_primary},
        {"crash-primary", Target::primary, 2, milliseconds(0), milliseconds(0), false,
         crash_primary},
        {"freeze-primary", Target::primary, 3, milliseconds(500), milliseconds(15000), false,
         freeze_primary},
        {"cut-primary", Target::primary, 3, milliseconds(1000), milliseconds(15000), false,
         cut_primary},
        {"blind-primary", Target::primary, 2, milliseconds(1000), milliseconds(15000), false,
         blind_primary},
        {"slow-primary", Target::primary, 1, milliseconds(2000), milliseconds(8000), true,
         slow_primary},
        {"kill-primary-without-sshd", Target::primary, 2, milliseconds(1000), milliseconds(8000),
         false, kill_primary_without_sshd},
        {"kill-primary-standby-without-sshd", Target::cluster, 2, milliseconds(1000),
         milliseconds(8000), false, kill_primary_standby_without_sshd},
        {"switchover", Target::cluster, 3, milliseconds(0), milliseconds(0), false, switchover},
        {"detach-primary", Target::primary, 2, milliseconds(0), milliseconds(0), false,
         detach_primary},
        {"kill-standby", Target::standby, 2, milliseconds(0), milliseconds(4000), false,
         kill_standby},
        {"stop-standby", Target::standby, 1, milliseconds(0), milliseconds(4000), false,
         stop_standby},
        {"freeze-standby", Target::standby, 1, milliseconds(500), milliseconds(12000), true,
         freeze_standby},
        {"cut-standby", Target::standby, 2, milliseconds(1000), milliseconds(12000), false,
         cut_standby},
        {"blind-standby", Target::standby, 1, milliseconds(1000), milliseconds(12000), true,
         blind_standby},
        {"slow-standby", Target::standby, 1, milliseconds(2000), milliseconds(8000), true,
         slow_standby},
        {"detach-standby", Target::standby, 1, milliseconds(0), milliseconds(0), true,
         detach_standby},
        {"rebuild-standby", Target::standby, 2, milliseconds(0), milliseconds(0), false,
         rebuild_standby},
        {"cut-one-way", Target::cluster, 2, milliseconds(1000), milliseconds(12000), true,
         cut_one_way},
        {"restart-pgpool", Target::cluster, 1, milliseconds(0), milliseconds(2000), false,
         restart_pgpool},
    };
    return kinds;
}

}  // namespace hooks::soak
