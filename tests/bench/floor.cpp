// bench_floor CONNINFO: the least that a promotion takes, for comparison: connect, ask, see that
// it is so. It decides nothing, checks nothing and tells nobody.
#include <libpq-fe.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

constexpr useconds_t kPollEvery = 2000;

// Of the one row.
bool first_value_is(PGconn* connection, const char* sql, const char* expected) {
    PGresult* result = PQexec(connection, sql);
    const bool is = PQntuples(result) == 1 && std::strcmp(PQgetvalue(result, 0, 0), expected) == 0;
    PQclear(result);
    return is;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: bench_floor CONNINFO\n", stderr);
        return 2;
    }
    PGconn* connection = PQconnectdb(argv[1]);
    if (PQstatus(connection) != CONNECTION_OK ||
        !first_value_is(connection, "SELECT pg_promote(false)", "t")) {
        std::fputs(PQerrorMessage(connection), stderr);
        return 1;
    }
    while (!first_value_is(connection, "SELECT pg_is_in_recovery()", "f")) {
        if (PQstatus(connection) != CONNECTION_OK) {
            std::fputs(PQerrorMessage(connection), stderr);
            return 1;
        }
        ::usleep(kPollEvery);
    }
    PQfinish(connection);
    return 0;
}
