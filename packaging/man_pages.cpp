// Writes the man pages, from the tables that --help prints, into the directory that it is given.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/core/config_text.h"
#include "common/core/conninfo.h"
#include "common/core/help_text.h"

namespace hooks {
namespace {

// As text that looks the same on every terminal: no character of it is markup, and quotes and
// dashes can be copied.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '\\':
                out += "\\e";
                break;
            case '-':
                out += "\\-";
                break;
            case '\'':
                out += "\\(aq";
                break;
            case '"':
                out += "\\(dq";
                break;
            case '`':
                out += "\\(ga";
                break;
            case '~':
                out += "\\(ti";
                break;
            case '^':
                out += "\\(ha";
                break;
            default:
                out += c;
        }
    }
    // At the beginning of a line, a dot would make a macro of it.
    return out.starts_with('.') ? "\\&" + out : out;
}

std::string title(std::string_view name, int section) {
    // Not hyphenated nor justified: it is full of names.
    return fmt::format(".TH {} {} \"\" \"pgpool-hooks {}\" \"pgpool-hooks\"\n.nh\n.ad l\n",
                       roff(name), section, HOOKS_VERSION);
}

std::string section(std::string_view heading) {
    return fmt::format(".SH {}\n", roff(heading));
}

std::string paragraph(std::string_view text) {
    return fmt::format(".PP\n{}\n", roff(text));
}

std::string item(std::string_view term, std::string_view text) {
    return fmt::format(".TP\n.B {}\n{}\n", roff(term), roff(text));
}

std::string example(std::string_view line) {
    return fmt::format(".PP\n.nf\n.RS\n{}\n.RE\n.fi\n", roff(line));
}

std::string name_line(std::string_view name, std::string_view summary) {
    return section("NAME") + fmt::format("{} \\- {}\n", roff(name), roff(summary));
}

std::string files() {
    return section("FILES") +
           item(default_config_path, "The configuration, see hooks.conf(5); it must be there.") +
           item("/etc/pgpool2/pgpool.conf",
                "The backends are read from here. Another place is set by pgpool_conf.") +
           item(std::string(default_config().state_dir),
                "History, logs of workers, and copies of WAL that was thrown away (diverged). "
                "Another place is set by state_dir.") +
           item("~/.pgpass", "The passwords of postgres_user and replication_user.") +
           item("~/.pcppass", "The password of pcp_user.");
}

std::string see_also(std::string_view self) {
    std::string out;
    for (const HookText& hook : hook_texts()) {
        if (hook.name != self) {
            out += fmt::format("{}.BR {} (8)", out.empty() ? "" : " ,\n", roff(hook.name));
        }
    }
    if (self != "hooks.conf") {
        out += " ,\n.BR hooks.conf (5)";
    }
    return section("SEE ALSO") + out + "\n" +
           paragraph(
               "README.md, docs/decisions.md (which rule does what) and docs/operations.md "
               "(what to do when it says something) in /usr/share/doc/pgpool-hooks.");
}

std::string hook_page(const HookText& hook) {
    std::string out = title(hook.name, 8) + name_line(hook.name, hook.summary);
    out += section("SYNOPSIS") +
           fmt::format(".B {}\n[\\fIOPTION\\fR]...\n{}\n", roff(hook.name), roff(hook.arguments));
    out += section("DESCRIPTION");
    for (const std::string& text : hook.description) {
        out += paragraph(text);
    }
    out += paragraph("It is called by:") + example(hook.called_as);
    out += paragraph(
        "Every run ends with one line in the log that says what changed and what to do next, and "
        "with one line in the history.");
    out += section("OPTIONS") + paragraph("Options come before the arguments.");
    for (const CommandOptionText& option : command_option_texts()) {
        const bool alone = option.argument.empty();
        out += item(fmt::format("{}{}{}", option.name, alone ? "" : " ", option.argument),
                    option.text);
    }
    out += section("EXIT STATUS");
    for (const ExitCodeText& code : exit_code_texts()) {
        out += item(std::to_string(static_cast<int>(code.code)), code.text);
    }
    out += section("ENVIRONMENT") +
           item("PGPOOL_HOOKS_CONFIG", "The configuration, where --config does not name it.");
    return out + files() + see_also(hook.name);
}

std::string config_page() {
    std::string out =
        title("hooks.conf", 5) +
        name_line("hooks.conf", "how pgpool-hooks reach the nodes, and what they may do");
    out += section("DESCRIPTION") +
           paragraph(fmt::format(
               "The executables of pgpool-hooks read the file that --config or "
               "$PGPOOL_HOOKS_CONFIG names, else {}. The syntax is that of postgresql.conf: "
               "key = 'value', # begins a comment. An empty file is a valid one. NODEID.key sets a "
               "key for the one backend with that id, for instance 2.ssh_port = 2222.",
               default_config_path)) +
           paragraph(
               "A duration is a number with ms, s, min or h; a bare number means seconds. What "
               "cannot be right is an error that names the line.");
    out += section("KEYS") + paragraph("Each is shown with its default.");
    for (const OptionRow& row : option_table()) {
        out += item(fmt::format("{} = {}", key_text(row), quote_guc_string(row.default_value)),
                    description(row));
    }
    out += section("EXAMPLE");
    for (const char* line :
         {"replication_user = 'repl'", "ssh_identity_file = '/var/lib/postgresql/.ssh/id_ed25519'",
          "pcp_user = 'pgpool'"}) {
        out += example(line);
    }
    return out + files() + see_also("hooks.conf");
}

void write(const std::string& path, const std::string& page) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << page;
    file.close();
    if (!file) {
        throw std::runtime_error("cannot write " + path);
    }
}

}  // namespace
}  // namespace hooks

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "Usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    try {
        const std::string directory = argv[1];
        for (const hooks::HookText& hook : hooks::hook_texts()) {
            hooks::write(fmt::format("{}/{}.8", directory, hook.name), hooks::hook_page(hook));
        }
        hooks::write(directory + "/hooks.conf.5", hooks::config_page());
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
