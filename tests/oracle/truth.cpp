#include "tests/oracle/truth.h"

#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "common/app/rejoin_job.h"
#include "common/core/config.h"
#include "common/core/connections.h"
#include "tests/support/place.h"

namespace hooks::oracle {
namespace {

using std::chrono::seconds;

// Removes what was made for one truth.
struct Copies {
    Lab& lab;
    Server& target;
    Server& source;

    Copies(Lab& where, const Looked& t, const Looked& s, const std::string& suffix)
        : lab(where),
          target(where.copy(*t.member.server, t.name() + suffix)),
          source(where.copy(*s.member.server, s.name() + suffix + "_source")) {}
    ~Copies() {
        for (Server* server : {&target, &source}) {
            try {
                if (server->running()) {
                    server->kill();
                }
            } catch (const std::exception&) {
                // The sandbox ends it.
            }
            lab.remove(*server);
        }
    }
    Copies(const Copies&) = delete;
    Copies& operator=(const Copies&) = delete;
};

std::string unique(const char* what) {
    static std::atomic<int> count{0};
    return fmt::format(".{}{}", what, ++count);
}

// What keeps this from being a standby with the rows of its source.
std::string compare(Copies& copies, seconds patience) {
    try {
        copies.target.start(patience);
        prove_streaming(copies.source.sql(), copies.target.sql(), Deadline::after(patience));
        // The numbers of these transactions may be those of others in the target's pages.
        for (int i = 0; i < 3; ++i) {
            copies.source.write(1);
        }
        copies.target.replay_all_of(copies.source);
        const std::string theirs = copies.source.digest();
        const std::string ours = copies.target.digest();
        return ours == theirs ? "" : fmt::format("it has {}, its source {}", ours, theirs);
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace

Truth rejoin(Lab& lab, const Looked& target, const Looked& source) {
    Copies copies(lab, target, source, unique("rejoin"));
    copies.source.start();

    Log log("oracle");
    log.set_level(LogLevel::error);
    Config config = default_config();
    config.postgres_user = "postgres";
    config.replication_user = "postgres";
    config.state_dir = copies.target.directory() + ".state";
    config.follow_timeout = seconds(90);
    Env env{"oracle",
            log,
            config,
            {},
            Deadline::after(seconds(120)),
            false,
            false,
            "",
            config.state_dir,
            {},
            {},
            {},
            false,
            false,
            {}};
    RejoinJob job;
    job.source = copies.source.backend(1);
    job.target = copies.target.backend(0);
    job.online_recovery = true;  // stops short of the start, and of pgpool
    Truth truth;
    try {
        const Verdict verdict = run_rejoin(job, env);
        truth.rule = verdict.rule;
        if (verdict.code != ExitCode::done) {
            truth.why = verdict.text;
            return truth;
        }
    } catch (const std::exception& error) {
        truth.why = error.what();
        return truth;
    }
    truth.why = compare(copies, seconds(60));
    std::error_code ignored;
    std::filesystem::remove_all(config.state_dir, ignored);
    return truth;
}

Truth believe_pg_rewind(Lab& lab, const Looked& target, const Looked& source) {
    Copies copies(lab, target, source, unique("believe"));
    copies.source.start();
    create_slots(copies.source.sql(), {slot_name(0)}, Deadline::after(seconds(60)));
    copies.target.configure(true, &copies.source);
    std::ofstream(copies.target.directory() + "/standby.signal").flush();
    std::ofstream(copies.target.directory() + "/postgresql.conf", std::ios::app)
        << "primary_slot_name = '" << slot_name(0) << "'\n";
    return {"", compare(copies, seconds(4))};
}

}  // namespace hooks::oracle
