#include "recovery_1st_stage/find_primary.h"

#include "common/app/servers.h"
#include "common/io/tcp_connect.h"
#include "recovery_1st_stage/decide.h"

namespace hooks::recovery {
namespace {

// An empty host is pgpool's own socket directory.
Known<bool> is_here(const Backend& backend, const Env& env) {
    try {
        return backend.host.empty() ||
               is_own_address(backend.host, env.deadline.within(env.config.connect_timeout));
    } catch (const Error& error) {
        return Unknown{error.message()};
    }
}

}  // namespace

Backend find_primary(const Request& request, const Env& env) {
    std::vector<Backend> left = request.primaries;
    if (!request.primary_named) {
        std::vector<PrimaryCandidate> candidates;
        for (const Backend& backend : request.primaries) {
            candidates.push_back({backend, is_here(backend, env)});
        }
        left = those_here(request, candidates);
    }
    const Backend primary =
        left.size() == 1 ? left.front() : the_primary(request, seen_of(look_at_servers(left, env)));
    check_primary(request, primary);
    return primary;
}

}  // namespace hooks::recovery
