#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

#include "common/app/run_hook.h"
#include "common/io/signals.h"

namespace hooks {
namespace {

void log_decision(const Decision& decision, Env& env) {
    if (const auto* plan = std::get_if<Plan>(&decision)) {
        env.log.info("plan", {{"rule", plan->rule}, {"reason", plan->reason}});
        int number = 0;
        for (const Step& step : plan->steps) {
            env.log.info("planned step",
                         {{"step", std::to_string(++number)},
                          {"does", text(step)},
                          {"no_return", is_point_of_no_return(step) ? "yes" : "no"}});
        }
        return;
    }
    const bool refused = std::holds_alternative<Refuse>(decision);
    env.log.write(refused ? LogLevel::error : LogLevel::info, refused ? "refused" : "nothing to do",
                  {{"rule", rule_of(decision)}, {"reason", reason_of(decision)}});
}

bool changes_something(const Step& step) {
    return !std::holds_alternative<LookAgain>(step) && !std::holds_alternative<WaitForWal>(step) &&
           !std::holds_alternative<ProveStreaming>(step) && !std::holds_alternative<HandOver>(step);
}

}  // namespace

std::string effects_of(const Env& env) {
    if (env.effects.empty()) {
        return "nothing was changed";
    }
    return fmt::format("after: {}", fmt::join(env.effects, "; "));
}

Carried carry_out(const Decision& decision, Env& env,
                  const std::function<bool(const Step&)>& perform) {
    if (env.dry_run) {
        std::fputs(to_string(decision).c_str(), stdout);
        std::fflush(stdout);
        return Carried::dry_run;
    }
    log_decision(decision, env);
    if (std::holds_alternative<Refuse>(decision)) {
        return Carried::refused;
    }
    const auto* plan = std::get_if<Plan>(&decision);
    if (plan == nullptr) {
        return Carried::nothing;
    }
    if (const auto defect = order_defect(*plan)) {
        throw Error(ErrorKind::internal, fmt::format("plan {}: {}", plan->rule, *defect));
    }
    for (const Step& step : plan->steps) {
        throw_if_cancelled();
        if (is_point_of_no_return(step)) {
            env.past_no_return = true;
        }
        env.proving = std::holds_alternative<ProveStreaming>(step) ||
                      std::holds_alternative<AttachNode>(step);
        env.log.debug("step begins", {{"does", text(step)}});
        const bool go_on = in_context(text(step), [&] {
            return env.timings.measure(name(step), [&] { return perform(step); });
        });
        if (changes_something(step)) {
            env.effects.push_back(text(step));
        }
        if (!go_on) {
            return Carried::interrupted_for_new_look;
        }
        env.log.info("step done", {{"does", text(step)}});
    }
    env.proving = false;
    return Carried::out;
}

Verdict verdict_of(const Decision& decision, Carried carried, std::string done_text,
                   const Env& env) {
    Verdict verdict;
    verdict.rule = rule_of(decision);
    switch (carried) {
        case Carried::out:
        case Carried::interrupted_for_new_look:
            verdict.text = std::move(done_text);
            break;
        case Carried::nothing:
            verdict.text = "nothing to do: " + reason_of(decision);
            break;
        case Carried::dry_run:
            verdict.text = "dry run, nothing was changed: " + reason_of(decision);
            break;
        case Carried::refused:
            // An earlier look may have led to a step; then this is an end midway.
            verdict.code = env.effects.empty() ? ExitCode::refused : ExitCode::failed_midway;
            verdict.text = fmt::format("refused, {}: {}", effects_of(env), reason_of(decision));
            verdict.next = std::get<Refuse>(decision).next;
            break;
    }
    return verdict;
}

}  // namespace hooks
