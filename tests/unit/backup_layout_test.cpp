// Where a base backup goes, whether it fits, and how it takes the place of the old files.
#include "common/core/backup_layout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

constexpr std::uint64_t mb = 1 << 20;
constexpr std::uint64_t gb = mb * 1024;

BackupPlace place(PlaceKind kind, const std::string& path, std::uint64_t device,
                  std::uint64_t free) {
    BackupPlace p;
    p.kind = kind;
    p.path = path;
    p.exists = p.writable = p.room_beside = true;
    p.device = device;
    p.free = free;
    return p;
}

BackupSite site_with(std::uint64_t free) {
    BackupSite site;
    site.places.push_back(place(PlaceKind::data, "/pg/data", 1, free));
    site.places.back().entries = {"base", "PG_VERSION", "lost+found", "postgresql.conf"};
    return site;
}

BackupSize size_of(std::uint64_t data) {
    BackupSize size;
    size.known = true;
    size.data = data;
    return size;
}

BackupPlace tablespace(const std::string& oid, const std::string& path, std::uint64_t device,
                       std::uint64_t free) {
    BackupPlace p = place(PlaceKind::tablespace, path, device, free);
    p.oid = oid;
    return p;
}

// --- the forecast ---

TEST(BackupForecast, NamesWhatIsExpectedAndWhatIsFreeInEachPlace) {
    BackupSite site = site_with(40 * gb);
    site.places.push_back(place(PlaceKind::wal, "/wal", 2, 3 * gb));
    site.places.push_back(tablespace("16400", "/x", 3, 2 * gb));
    BackupSize size = size_of(gb);
    size.wal = 512 * mb;
    size.tablespaces = {{"16400", "/x", 100 * mb}};
    EXPECT_EQ(forecast(size, site),
              "expected 1.1 GB, free 40.0 GB beside /pg/data; expected 553.6 MB, free 3.0 GB for "
              "WAL in /wal; expected 121.0 MB, free 2.0 GB for tablespace 16400 in /x");
}

TEST(BackupForecast, AddsUpWhatGoesToOneFilesystem) {
    BackupSize size = size_of(gb);
    size.tablespaces = {{"16400", "/x", gb}};
    BackupSite site = site_with(3 * gb / 2);
    site.places.push_back(tablespace("16400", "/x", 2, 3 * gb / 2));
    EXPECT_TRUE(fits_beside(size, site));
    site.places.back().device = 1;
    EXPECT_FALSE(fits_beside(size, site));
}

// --- the policies: all of them over what they depend on ---

TEST(BackupChoice, NeverRemovesTheOldDataWherePolicyOrNumbersSayOtherwise) {
    for (const auto policy : {BaseBackupPolicy::keep_old, BaseBackupPolicy::keep_if_space,
                              BaseBackupPolicy::in_place, BaseBackupPolicy::never}) {
        for (const bool known : {true, false}) {
            for (const bool has_old : {true, false}) {
                for (const std::uint64_t free : {100 * mb, 900 * mb, 2 * gb}) {
                    for (const std::uint64_t old : {std::uint64_t{0}, 500 * mb}) {
                        BackupSite site = site_with(free);
                        if (!has_old) {
                            site.places[0].entries.clear();
                        }
                        site.places[0].old = has_old ? old : 0;
                        BackupSize size = known ? size_of(gb) : BackupSize{};
                        size.why_not = "permission denied";
                        const BackupChoice choice = choose_backup(policy, size, site, 15);
                        const std::string world =
                            std::to_string(static_cast<int>(policy)) + (known ? " known" : "") +
                            (has_old ? " old" : "") + " free " + std::to_string(free / mb) +
                            " of old " + std::to_string(old / mb) + ": " + choice.reason;
                        EXPECT_FALSE(choice.refused && choice.in_place) << world;
                        EXPECT_EQ(choice.refused, !choice.next.empty()) << world;
                        if (policy == BaseBackupPolicy::never) {
                            EXPECT_TRUE(choice.refused) << world;
                            continue;
                        }
                        const bool fits = free >= 2 * gb;
                        const bool fits_in_place = free + old * (has_old ? 1U : 0U) >= 1100 * mb;
                        if (choice.in_place) {
                            EXPECT_TRUE(has_old && known && fits_in_place) << world;
                            EXPECT_NE(policy, BaseBackupPolicy::keep_old) << world;
                            EXPECT_FALSE(policy == BaseBackupPolicy::keep_if_space && fits)
                                << world;
                        } else if (!choice.refused && known) {
                            EXPECT_TRUE(fits) << world;
                        }
                        if (fits && known) {
                            EXPECT_FALSE(choice.refused) << world;
                        }
                        if (policy == BaseBackupPolicy::in_place && known && has_old) {
                            EXPECT_EQ(choice.in_place, fits_in_place) << world;
                        }
                    }
                }
            }
        }
    }
}

// What an attempt before this one left of the old data when it was cut off.
TEST(BackupChoice, RemovesWhatIsHalfRemovedAlready) {
    BackupSite site = site_with(900 * mb);
    site.places[0].entries = {"base", "postgresql.conf"};
    site.places[0].old = 500 * mb;
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::in_place, size_of(gb), site, 15).refused)
        << "for all that is known it is the last copy of something";
    site.unfinished = true;
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::in_place, size_of(gb), site, 15).in_place);
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::keep_if_space, size_of(gb), site, 15).in_place);
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::keep_old, size_of(gb), site, 15).refused);
    site.places[0].entries = {"postgresql.conf"};
    site.places[0].free = 2 * gb;
    EXPECT_FALSE(choose_backup(BaseBackupPolicy::in_place, size_of(gb), site, 15).in_place);
}

TEST(BackupChoice, SaysTheNumbersWhenItDoesNotFit) {
    const BackupChoice choice =
        choose_backup(BaseBackupPolicy::keep_old, size_of(gb), site_with(500 * mb), 15);
    EXPECT_TRUE(choice.refused);
    EXPECT_EQ(choice.reason,
              "a base backup does not fit: 1.1 GB needed on the filesystem of /pg/data, 500.0 MB "
              "free");
    EXPECT_NE(choice.next.find("in_place"), std::string::npos);
}

TEST(BackupChoice, RefusesATablespaceThatWouldBecomeThatOfAnother) {
    BackupSize size = size_of(mb);
    size.tablespaces = {{"16400", "/x", mb}};
    BackupSite site = site_with(gb);
    site.places.push_back(tablespace("16400", "/x", 1, gb));
    BackupPlace& ts = site.places.back();
    const auto is_refused = [&] {
        return choose_backup(BaseBackupPolicy::keep_old, size, site, 15).refused;
    };
    EXPECT_FALSE(is_refused());
    ts.entries = {"PG_15_202209061"};
    EXPECT_TRUE(is_refused());
    ts.entries = {"PG_14_202107181"};
    EXPECT_FALSE(is_refused()) << "of another version, as pg_upgrade leaves it";
    ts.entries = {"PG_15_202209061"};
    ts.own = true;
    EXPECT_FALSE(is_refused());
    ts.used_by = "/pg/other";
    EXPECT_TRUE(is_refused());
    ts.used_by.clear();
    site.places.push_back(ts);
    EXPECT_TRUE(is_refused()) << "two in one directory";
}

TEST(BackupChoice, RefusesWhatCannotBeWrittenOrReplaced) {
    BackupSite site = site_with(gb);
    site.places[0].mounted = {"pg_wal"};
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::keep_old, size_of(mb), site, 15).refused);
    site.wal_mounted = true;
    EXPECT_FALSE(choose_backup(BaseBackupPolicy::keep_old, size_of(mb), site, 15).refused);
    site.places[0].mounted = {"archive"};
    EXPECT_FALSE(choose_backup(BaseBackupPolicy::keep_old, size_of(mb), site, 15).refused);
    site.places[0].writable = false;
    EXPECT_TRUE(choose_backup(BaseBackupPolicy::keep_old, size_of(mb), site, 15).refused);
}

// --- where ---

TEST(BackupRoom, IsBesideTheDataOrElseInsideOfThePlace) {
    BackupPlace p = place(PlaceKind::data, "/pg/data", 1, gb);
    EXPECT_EQ(room_of(p), "/pg/data.pgpool-hooks");
    p.room_beside = false;
    EXPECT_EQ(room_of(p), "/pg/data/pgsql_tmp.pgpool-hooks");
    p.kind = PlaceKind::wal;
    p.room_beside = true;
    EXPECT_EQ(room_of(p), "/pg/data/pgsql_tmp.pgpool-hooks");
}

TEST(TablespaceMap, IsPairsOfAbsolutePaths) {
    EXPECT_EQ(parse_tablespace_map("/a=/b, /c d=/e=f"),
              (TablespaceMap{{"/a", "/b"}, {"/c d", "/e=f"}}));
    EXPECT_TRUE(parse_tablespace_map("").empty());
    for (const char* bad : {"/a", "a=/b", "/a=b", "/a=/b,,"}) {
        EXPECT_THROW(parse_tablespace_map(bad), Error) << bad;
    }
}

// --- the swap ---

TEST(BackupSwap, KnowsWhatIsPostgres) {
    for (const char* name : {"PG_VERSION", "base", "pg_wal", "postmaster.pid", "pgsql_tmp.hooks.x",
                             "backup_label.old", "standby.signal"}) {
        EXPECT_TRUE(belongs_to_postgres(name)) << name;
    }
    for (const char* name : {"lost+found", "archive", "server.key", "log", "my.sh", "pg_log",
                             "pgsql_tmp.pgpool-hooks", "extra.conf"}) {
        EXPECT_FALSE(belongs_to_postgres(name)) << name;
    }
    for (const char* name : {"000000010000000000000003", "000000010000000000000003.partial",
                             "00000002.history", "archive_status", "summaries"}) {
        EXPECT_TRUE(belongs_in_wal(name)) << name;
    }
    EXPECT_FALSE(belongs_in_wal("lost+found"));
    EXPECT_FALSE(belongs_in_wal("pgsql_tmp.pgpool-hooks"));
}

TEST(BackupSwap, TheOldBeginsWithWhatMakesItStartable) {
    BackupSite site = site_with(gb);
    EXPECT_EQ(old_entries(site.places[0], site, 15),
              (std::vector<std::string>{"PG_VERSION", "base"}));
    BackupPlace ts = tablespace("16400", "/x", 1, gb);
    ts.entries = {"PG_15_202209061", "PG_14_1", "other"};
    EXPECT_TRUE(old_entries(ts, site, 15).empty()) << "not the target's";
    ts.own = true;
    EXPECT_EQ(old_entries(ts, site, 15), (std::vector<std::string>{"PG_15_202209061"}));
}

// A filesystem as far as renames go, and the swap script's rule for each move.
using Files = std::map<std::string, std::string>;

void carry_out(const Move& move, Files& files) {
    const auto from = files.find(move.from);
    if (from == files.end() || (move.out && files.count(move.to) > 0)) {
        return;
    }
    ASSERT_EQ(files.count(move.to), 0U) << move.to << " would be overwritten";
    files[move.to] = from->second;
    files.erase(move.from);
}

struct World {
    std::vector<SwapPlace> places;
    Files files;
};

World world() {
    World w;
    w.places = {{PlaceKind::data,
                 "D",
                 "R/in",
                 "R/old",
                 {"base", "PG_VERSION", "pg_wal", "postgresql.conf", "server.key", "lost+found",
                  "postmaster.opts"},
                 {"base", "PG_VERSION", "pg_wal", "postgresql.conf", "server.key", "wrapper",
                  "backup_label", "standby.signal"}},
                {PlaceKind::wal,
                 "W",
                 "W/r/in",
                 "W/r/old",
                 {"000000010000000000000001", "lost+found", "pgsql_tmp.pgpool-hooks"},
                 {"000000010000000000000001", "archive_status"}},
                {PlaceKind::tablespace,
                 "T",
                 "T/r/in",
                 "T/r/old",
                 {"PG_14_1", "PG_15_1", "pgsql_tmp.pgpool-hooks"},
                 {"PG_15_1"}}};
    for (const SwapPlace& place : w.places) {
        for (const std::string& name : place.now) {
            w.files[place.current + "/" + name] = "old";
        }
        for (const std::string& name : place.next) {
            w.files[place.incoming + "/" + name] = "new";
        }
    }
    return w;
}

TEST(BackupSwap, CutOffAnywhereItStartsNothingLosesNothingAndGoesOn) {
    for (const bool keep : {true, false}) {
        const World begin = world();
        const std::vector<Move> moves = plan_swap(begin.places, keep, false, {});
        Files end;
        for (std::size_t cut = 0; cut <= moves.size(); ++cut) {
            Files files = begin.files;
            for (std::size_t i = 0; i < cut; ++i) {
                carry_out(moves[i], files);
            }
            EXPECT_EQ(files.size(), begin.files.size()) << "a file is lost after " << cut;
            if (files.count("D/PG_VERSION") > 0) {
                const std::string which = files["D/PG_VERSION"];
                for (const char* name :
                     {"D/base", "D/pg_wal", "W/000000010000000000000001", "T/PG_15_1"}) {
                    EXPECT_EQ(files[name], which) << name << " after " << cut;
                }
                EXPECT_EQ(files.count("D/standby.signal"), which == "new" ? 1U : 0U) << cut;
            }
            for (const Move& move : moves) {
                carry_out(move, files);
            }
            if (cut == 0) {
                end = files;
            }
            EXPECT_EQ(files, end) << "after " << cut;
        }
        EXPECT_EQ(end["D/PG_VERSION"], "new");
        EXPECT_EQ(end["R/old/PG_VERSION"], "old");
        EXPECT_EQ(end["R/old/pg_wal"], "old");
        EXPECT_EQ(end["W/r/old/000000010000000000000001"], "old");
        EXPECT_EQ(end["T/r/old/PG_15_1"], "old");
        EXPECT_EQ(end["T/PG_14_1"], "old") << "of another cluster";
        // Not PostgreSQL's: they never move.
        EXPECT_EQ(end["D/lost+found"], "old");
        EXPECT_EQ(end["D/server.key"], "old");
        EXPECT_EQ(end["W/lost+found"], "old");
        EXPECT_EQ(end["D/wrapper"], "new");
        EXPECT_EQ(end["D/postgresql.conf"], "new") << "with the node's own content where it stays";
    }
}

TEST(BackupSwap, AMountedPgWalStaysAndWhatARewindOverwroteIsReplaced) {
    World w = world();
    w.places[0].next.erase(w.places[0].next.begin() + 2);  // its link is taken out before
    const std::vector<Move> moves = plan_swap(w.places, true, true, {"server.key"});
    Files files = w.files;
    for (const Move& move : moves) {
        carry_out(move, files);
    }
    EXPECT_EQ(files["D/pg_wal"], "old");
    EXPECT_EQ(files["D/server.key"], "new");
    EXPECT_EQ(files["R/old/server.key"], "old");
}

TEST(BackupSwap, TheJournalHoldsNoNameThatWouldBreakIt) {
    EXPECT_EQ(journal({{true, "a b", "c"}, {false, "d", "e"}}), "out\ta b\tc\nin\td\te\n");
    EXPECT_THROW(journal({{true, "a\tb", "c"}}), Error);
}

// --- the report ---

TEST(BackupSite, IsReadFromTheScript) {
    const BackupSite site = parse_backup_site(
        "wal_link: /wal/15\nplace: data\npath: /pg/data\ndevice: 65024\nfree: 1024\nwritable: "
        "yes\nexists: yes\nroom_beside: yes\nentry: PG_VERSION\nentry: a b\nmounted: archive\n"
        "place: wal\npath: /wal/15\ndevice: 7\nfree: \nplace: tablespace\npath: /x\noid: 16400\n"
        "own: yes\nused_by: /pg/other\nend: report\n");
    ASSERT_EQ(site.places.size(), 3U);
    EXPECT_EQ(site.wal_link, "/wal/15");
    EXPECT_FALSE(site.wal_mounted);
    EXPECT_FALSE(site.unfinished);
    EXPECT_TRUE(parse_backup_site("unfinished: yes\nplace: data\nend: report\n").unfinished);
    EXPECT_EQ(site.data().free, 1024U * 1024U);
    EXPECT_EQ(site.data().entries, (std::vector<std::string>{"PG_VERSION", "a b"}));
    EXPECT_EQ(site.data().mounted, (std::vector<std::string>{"archive"}));
    ASSERT_NE(site.wal(), nullptr);
    EXPECT_FALSE(site.wal()->free);
    EXPECT_TRUE(site.places[2].own);
    EXPECT_EQ(site.places[2].used_by, "/pg/other");
    EXPECT_THROW(parse_backup_site("place: data\npath: /pg\n"), Error) << "broken off";
}

}  // namespace
}  // namespace hooks
