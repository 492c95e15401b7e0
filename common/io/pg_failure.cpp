#include "common/io/pg_failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace hooks {
namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [text](std::string_view part) { return contains(text, part); });
}

bool starts_with(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

// The last "FATAL:  28P01: " in the text. Only the shape counts: the severity comes in the language
// of the server. The last, because with sslmode=prefer libpq tells of two attempts.
std::string find_sqlstate(std::string_view text) {
    std::string found;
    for (std::size_t at = text.find(":  "); at != std::string_view::npos;
         at = text.find(":  ", at + 1)) {
        const std::string_view code = text.substr(at + 3, 5);
        const auto legal = [](char c) {
            return std::isdigit(static_cast<unsigned char>(c)) != 0 || (c >= 'A' && c <= 'Z');
        };
        if (code.size() == 5 && std::all_of(code.begin(), code.end(), legal) &&
            text.substr(at + 8, 2) == ": ") {
            found = code;
        }
    }
    return found;
}

PgAnswer::Kind kind_of_sqlstate(std::string_view state) {
    // cannot_connect_now, admin_shutdown, crash_shutdown: the server comes or goes. Out of memory
    // or disk, an I/O error, an internal error: it runs, and is of no use.
    for (const std::string_view start : {"57P0", "53100", "53200", "58", "XX"}) {
        if (starts_with(state, start)) {
            return PgAnswer::Kind::rejecting;
        }
    }
    return PgAnswer::Kind::denied;
}

// Texts of strerror(3) and of libpq, in the C locale, which is never left.
constexpr std::array<std::string_view, 4> kHungUp = {"server closed the connection unexpectedly",
                                                     "Connection reset by peer", "Broken pipe",
                                                     "SSL SYSCALL error"};
// Nothing listens at the port, or there is no such unix socket (and not: no such certificate).
bool is_refusal(std::string_view text) {
    return contains(text, "Connection refused") ||
           (contains(text, "No such file or directory") && !contains(text, "certificate"));
}
// Something answered, and libpq and it cannot agree on how to go on.
constexpr std::array<std::string_view, 9> kDisagreement = {
    "no password supplied", "authentication", "SCRAM",   "certificate", "SSL", "GSSAPI",
    "requirepeer",          "invalid",        "password"};

// Colons separate the fields there.
std::string passfile_host(const std::string& host) {
    std::string out;
    for (const char c : host) {
        out += c == ':' ? "\\:" : std::string(1, c);
    }
    return out;
}

}  // namespace

std::string one_line(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        std::string squeezed;
        for (const char c : line) {
            const bool blank = c == ' ' || c == '\t' || c == '\r';
            if (!blank) {
                squeezed += c;
            } else if (!squeezed.empty() && squeezed.back() != ' ') {
                squeezed += ' ';
            }
        }
        if (!squeezed.empty() && squeezed.back() == ' ') {
            squeezed.pop_back();
        }
        if (!squeezed.empty() && !starts_with(squeezed, "LOCATION: ")) {
            result += (result.empty() ? "" : "; ") + squeezed;
        }
    }
    return result;
}

PgFailure classify_connection_failure(std::string_view libpq_message) {
    PgFailure failure;
    failure.detail = one_line(libpq_message);
    failure.sqlstate = find_sqlstate(libpq_message);
    if (!failure.sqlstate.empty()) {
        failure.kind = kind_of_sqlstate(failure.sqlstate);
    } else if (contains_any(libpq_message, kHungUp)) {
        failure.kind = PgAnswer::Kind::silent;
        failure.hung_up = true;
    } else if (is_refusal(libpq_message)) {
        failure.kind = PgAnswer::Kind::refused;
    } else if (contains_any(libpq_message, kDisagreement)) {
        failure.kind = PgAnswer::Kind::denied;
    }
    return failure;
}

std::string connection_hint(const PgFailure& failure, const Conninfo& target) {
    const auto setting = [&target](const char* keyword, const char* otherwise) {
        const std::string* value = target.find(keyword);
        return value == nullptr || value->empty() ? std::string(otherwise) : *value;
    };
    const std::string port = setting("port", "5432");
    if (failure.kind == PgAnswer::Kind::refused) {
        return fmt::format(
            "Does the server run there, listen on that address (listen_addresses) "
            "and use port {}?",
            port);
    }
    if (failure.kind != PgAnswer::Kind::denied) {
        return {};
    }
    if (failure.sqlstate == "28P01" || contains(failure.detail, "no password supplied")) {
        return fmt::format("Is \"{}:{}:*:{}:PASSWORD\" the right line in {} (mode 0600)?",
                           passfile_host(setting("host", "localhost")), port,
                           setting("user", "USER"), setting("passfile", "~/.pgpass"));
    }
    if (contains(failure.detail, "pg_hba.conf")) {
        return fmt::format(
            "Add \"host {} {} THIS_MACHINE scram-sha-256\" to pg_hba.conf there and reload it.",
            setting("dbname", "all"), setting("user", "USER"));
    }
    if (failure.sqlstate == "28000") {
        return fmt::format("Is \"{}\" (postgres_user) a role with LOGIN there?",
                           setting("user", "USER"));
    }
    if (failure.sqlstate == "3D000") {
        return fmt::format("Is \"{}\" (postgres_database) a database there?",
                           setting("dbname", "postgres"));
    }
    if (contains(failure.detail, "certificate") || contains(failure.detail, "SSL")) {
        return fmt::format(
            "Look at sslmode and sslrootcert in postgres_conninfo, and whether the certificate of "
            "that server names {}.",
            setting("host", "it"));
    }
    if (failure.sqlstate == "53300") {
        return "Make postgres_user a superuser, for whom superuser_reserved_connections are kept, "
               "or, on 16 and later, a member of pg_use_reserved_connections with "
               "reserved_connections above 0; or raise max_connections.";
    }
    return {};
}

}  // namespace hooks
