#include "common/io/node.h"

#include <fmt/format.h>

#include "common/core/error.h"

namespace hooks {
namespace {

// $1 path, $2 length, $3 mode of a new file; the content comes on stdin. One line, because it
// travels as an argument.
//
// The length is tested before the rename: when a connection breaks half way, cat sees a normal end
// of file. (And then nobody reads what is written to stderr: hence PIPE among the signals.) The
// name of the temporary file begins with pgsql_tmp, which pg_basebackup leaves out, should one ever
// stay behind in a data directory. A symbolic link is followed, so that it stays a link. A file of
// somebody else is left alone when its owner cannot be kept.
constexpr std::string_view kReplaceScript =
    "set -eu; umask 077; "
    "path=$1; "
    "if [ -L \"$path\" ]; then path=$(readlink -f -- \"$path\"); fi; "
    "dir=${path%/*}; file=./${path##*/}; "
    "cd -- \"${dir:-/}\"; "
    "tmp=$(mktemp ./pgsql_tmp.hooks.XXXXXX); "
    "trap 'rm -f -- \"$tmp\"' EXIT; trap 'exit 1' HUP INT TERM PIPE; "
    "cat > \"$tmp\"; "
    "length=$(wc -c < \"$tmp\"); "
    "if [ \"$length\" -ne \"$2\" ]; then echo \"only $length of $2 bytes arrived\" >&2; exit 1; "
    "fi; "
    "if [ -e \"$file\" ]; then "
    "if cmp -s -- \"$file\" \"$tmp\"; then exit 0; fi; "
    "owner=$(stat -c %u:%g -- \"$file\"); "
    "if [ \"$owner\" != \"$(stat -c %u:%g -- \"$tmp\")\" ]; then "
    "chown \"$owner\" \"$tmp\" 2>/dev/null || [ \"${owner%:*}\" = \"$(id -u)\" ] || "
    "{ echo \"it belongs to user id ${owner%:*}\" >&2; exit 1; }; fi; "
    "chmod \"$(stat -c %a -- \"$file\")\" \"$tmp\"; "
    "else chmod \"$3\" \"$tmp\"; fi; "
    "sync \"$tmp\"; mv -fT -- \"$tmp\" \"$file\"; sync .; trap - EXIT";

constexpr std::string_view kContentMark = "-- file --\x1e";

void require_absolute(const std::string& path) {
    if (path.empty() || path[0] != '/' || path.back() == '/') {
        throw Error(ErrorKind::internal, "not the absolute path of a file: \"" + path + "\"");
    }
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

Outcome Node::run_script(std::string_view script, const std::vector<std::string>& arguments,
                         Deadline deadline, const LineSink& on_line) {
    Command command;
    command.argv = {"/bin/sh", "-s", "--"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    // In braces, because the shell then reads all of it before it runs any of it: a script that is
    // cut off by a lost connection is a syntax error and not half an action. And a command of the
    // script that reads its stdin cannot eat the rest.
    command.input = fmt::format("set -eu\n{{\n{}\n}} </dev/null\n", script);
    return run(command, deadline, on_line);
}

std::optional<std::string> Node::read_file(const std::string& path, Deadline deadline) {
    require_absolute(path);
    Command command;
    // A login shell may print something first (.bashrc): the file is what stands behind the mark.
    command.argv = {"/bin/sh",   "-c", "printf %s \"$2\"; exec cat -- \"$1\"",
                    "read_file", path, std::string(kContentMark)};
    Outcome outcome = run(command, deadline);
    const std::size_t mark = outcome.out.find(kContentMark);
    const std::string content =
        mark == std::string::npos ? "" : outcome.out.substr(mark + kContentMark.size());
    if (outcome.ok() && !outcome.output_held_open && mark != std::string::npos) {
        return content;
    }
    // The text for ENOENT, with LC_ALL=C: whatever else went wrong says something else. Testing
    // for the file first would take "permission denied" on its directory for "not there".
    if (outcome.exit_code == 1 && content.empty() &&
        ends_with(outcome.err, ": No such file or directory\n")) {
        return std::nullopt;
    }
    throw Error(ErrorKind::command,
                fmt::format("cannot read {} on {}: {}", path, label_, outcome.describe()));
}

void Node::replace_file(const std::string& path, std::string_view content, Deadline deadline,
                        std::string_view mode) {
    require_absolute(path);
    Command command;
    command.argv = {"/bin/sh",        "-c", std::string(kReplaceScript),
                    "replace_file",   path, std::to_string(content.size()),
                    std::string(mode)};
    command.input = content;
    const Outcome outcome = run(command, deadline);
    if (!outcome.ok()) {
        throw Error(ErrorKind::command,
                    fmt::format("cannot replace {} on {}: {}", path, label_, outcome.describe()));
    }
}

}  // namespace hooks
