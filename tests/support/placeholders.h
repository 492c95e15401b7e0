// A command line as Pgpool-II would hand it to the shell.
#pragma once

#include <string>
#include <string_view>

namespace hooks::harness {

enum class PgpoolStyle {
    v4_3,  // and older
    v4_4,  // and newer: a blank in front of %d, %m and %p
};

// What the placeholders stand for. An id of -1 means that there is no such node.
struct Placeholders {
    int node_id = -1;                // %d
    std::string node_host;           // %h
    int node_port = 0;               // %p
    std::string node_directory;      // %D
    int new_main_id = -1;            // %m
    std::string new_main_host;       // %H
    int new_main_port = 0;           // %r
    std::string new_main_directory;  // %R
    int old_main_id = 0;             // %M; current releases always write 0
    int old_primary_id = -1;         // %P
    std::string old_primary_host;    // %N
    int old_primary_port = 0;        // %S
};

// Textual, without any quoting of the values, as pgpool does it: an empty value vanishes, a node
// that does not exist is written as two quote characters, an unknown placeholder is dropped.
std::string expand_command(std::string_view format, const Placeholders& values, PgpoolStyle style);

}  // namespace hooks::harness
