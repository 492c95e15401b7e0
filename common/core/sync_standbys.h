// synchronous_standby_names: who must confirm a commit before a client hears of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hooks {

struct SyncStandbys {
    enum class Method { first, any };
    Method method = Method::first;
    int count = 0;                   // how many must confirm; 0: synchronous replication is off
    std::vector<std::string> names;  // as PostgreSQL reads them, quotes taken off; "*" is everybody

    bool on() const { return count > 0; }
    // Without regard to case, as PostgreSQL compares.
    bool lists(std::string_view application_name) const;
};

// As PostgreSQL's syncrep_gram.y: "a, b", "2 (a, b)", "FIRST 2 (a, b)", "ANY 2 (a, \"b c\", *)".
// nullopt for what PostgreSQL would not accept.
std::optional<SyncStandbys> parse_sync_standbys(std::string_view text);

// Whether nobody could confirm a commit: synchronous replication is on, and fewer of these standbys
// are listed than must confirm.
bool cannot_be_satisfied(const SyncStandbys& standbys, const std::vector<std::string>& names);

}  // namespace hooks
