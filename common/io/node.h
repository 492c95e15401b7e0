// A machine on which commands can be run and files replaced. LocalNode and SshNode behave alike:
// one contract suite runs over both.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/deadline.h"
#include "common/io/process.h"

namespace hooks {

class Node {
  public:
    explicit Node(std::string label) : label_(std::move(label)) {}
    virtual ~Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // "node 1 (10.0.0.2)": how messages name it.
    const std::string& label() const { return label_; }

    // As run_process(). A node that cannot be reached is Error{unreachable}; a connection that is
    // lost while the command runs is Error{timeout}, because its outcome is not known.
    virtual Outcome run(const Command& command, Deadline deadline,
                        const LineSink& on_line = {}) = 0;

    // A POSIX shell script by way of stdin ("/bin/sh -s -- ARGUMENT...", set -eu comes by itself),
    // so that neither its text nor its arguments need quoting by the caller. The shell runs none
    // of it before it has all of it; its commands have /dev/null as stdin.
    Outcome run_script(std::string_view script, const std::vector<std::string>& arguments,
                       Deadline deadline, const LineSink& on_line = {});

    // nullopt when there is no such file. Throws Error{command} when it cannot be read. The path is
    // absolute, here and below.
    std::optional<std::string> read_file(const std::string& path, Deadline deadline);

    // Atomically: a temporary file in the same directory, its length checked (a connection that
    // breaks half way looks like an end of file over there), fsync, rename, fsync of the
    // directory. An existing file keeps its mode and owner, and a symbolic link stays one; a new
    // file gets `mode`, such as "0600". A file that already has this content is left alone.
    // Throws Error{command}.
    void replace_file(const std::string& path, std::string_view content, Deadline deadline,
                      std::string_view mode = "0600");

  private:
    std::string label_;
};

}  // namespace hooks
