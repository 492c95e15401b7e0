// A machine that a real systemd runs, with a system bus and polkit, in namespaces and a control
// group of its own inside the sandbox. It has this sandbox's files but its own /run, units, polkit
// rules and sudoers.d.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/io/node.h"
#include "tests/support/place.h"

namespace hooks::harness {

class SystemdMachine {
  public:
    // `directory`, of which the parent is there, takes its log, units and rules.
    explicit SystemdMachine(std::string directory);
    ~SystemdMachine();
    SystemdMachine(const SystemdMachine&) = delete;
    SystemdMachine& operator=(const SystemdMachine&) = delete;

    void start();  // returns when it is up. Throws HarnessError with its log.
    // Or a drop-in: "x.service.d/y.conf".
    void add_unit(const std::string& name, const std::string& text) const;
    // A rule for polkit, before start(), or a line for sudo: nothing else is there.
    void permit(const std::string& rule) const;
    void permit_sudo(const std::string& line) const;
    // As root.
    Outcome run(std::vector<std::string> argv) const;

    // Whatever runs there runs as `account`.
    class AsNode : public Node {
      public:
        AsNode(const SystemdMachine& machine, std::string account)
            : Node("the machine"), machine_(machine), account_(std::move(account)) {}
        Outcome run(const Command& command, Deadline deadline, const LineSink& on_line) override;

      private:
        const SystemdMachine& machine_;
        std::string account_;
    };

  private:
    std::vector<std::string> inside() const;

    std::string directory_;
    pid_t supervisor_ = 0;
    pid_t systemd_ = 0;
};

}  // namespace hooks::harness
