#include "tests/support/network.h"

#include <sys/mount.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "tests/support/free_port.h"
#include "tests/support/place.h"
#include "tests/support/sandbox.h"

namespace hooks::harness {
namespace {

constexpr const char* kBridge = "hub0";

void must(std::vector<std::string> argv, std::string input = {}) {
    Command command;
    std::string text;
    for (const std::string& word : argv) {
        text += (text.empty() ? "" : " ") + word;
    }
    command.argv = std::move(argv);
    command.argv.front() = find_program(command.argv.front());
    command.input = std::move(input);
    const Outcome outcome = run_process(command, Deadline::after(std::chrono::seconds(20)));
    if (!outcome.ok()) {
        throw HarnessError(text + ": " + outcome.describe());
    }
}

class NamespaceNetwork : public Network {
  public:
    NamespaceNetwork(int nodes, std::string directory, bool ipv6)
        : nodes_(nodes), directory_(std::move(directory)), ipv6_(ipv6) {
        if (!in_sandbox()) {
            throw HarnessError("hosts of their own need a sandbox (run_in_sandbox)");
        }
    }

    void set_up() override {
        std::string hub = "link add " + std::string(kBridge) + " address " + mac(kHub) +
                          " type bridge\naddr add " + address(kHub) + " dev " + kBridge +
                          address_options() + "\nlink set " + kBridge + " up\n";
        for (int node = 0; node < nodes_; ++node) {
            std::ofstream(namespace_path(node)).close();
            must({"unshare", "--net=" + namespace_path(node), "true"});
            hub += "link add " + port(node) + " type veth peer name eth0 address " + mac(node) +
                   " netns " + namespace_path(node) + "\n";
            hub += "link set " + port(node) + " master " + kBridge + " up\n";
            hub += neighbour(node, mac(node), kBridge);
        }
        must({"ip", "-batch", "-"}, hub);
        for (int node = 0; node < nodes_; ++node) {
            std::string inside = "link set lo up\naddr add " + address(node) + " dev eth0" +
                                 address_options() + "\nlink set eth0 up\n";
            // Known for good, so that a host that is cut off is silent: an address that cannot be
            // resolved would be an error after three seconds.
            for (int other = kHub; other < nodes_; ++other) {
                inside += other == node ? "" : neighbour(other, mac(other), "eth0");
            }
            must({"nsenter", "--net=" + namespace_path(node), "ip", "-batch", "-"}, inside);
            // sshd runs as an ordinary user, on the usual port.
            must({"nsenter", "--net=" + namespace_path(node), "sh", "-c",
                  "echo 22 > /proc/sys/net/ipv4/ip_unprivileged_port_start"});
        }
    }

    void tear_down() override {
        for (int node = 0; node < nodes_; ++node) {
            ::umount2(namespace_path(node).c_str(), MNT_DETACH);
            std::remove(namespace_path(node).c_str());
        }
        // The veth pairs go with their namespaces, but not at once.
        std::string hub;
        for (int node = 0; node < nodes_; ++node) {
            hub += "link del " + port(node) + "\n";
        }
        hub += "link del " + std::string(kBridge) + "\n";
        Command command;
        command.argv = {find_program("ip"), "-force", "-batch", "-"};
        command.input = hub;
        run_process(command, Deadline::after(std::chrono::seconds(20)));
    }

    std::string host(int node) const override {
        return ipv6_ ? "fd77::" + std::to_string(node == kHub ? 99 : node + 1)
                     : "10.77.0." + std::to_string(node == kHub ? 254 : node + 1);
    }
    int postgres_port(int) const override { return 5432; }
    int ssh_port() const override { return 22; }
    std::string listen_addresses(int) const override { return "*"; }
    std::string hub_listen_address() const override { return "*"; }
    std::vector<std::string> client_networks() const override {
        return {ipv6_ ? "fd77::/64" : "10.77.0.0/24", "127.0.0.0/8"};
    }
    std::string namespace_path(int node) const override {
        return node == kHub ? "" : directory_ + "/host" + std::to_string(node);
    }

    void cut_host(int node) override { set_port_state(node, "0"); }   // disabled
    void heal_host(int node) override { set_port_state(node, "3"); }  // forwarding
    void cut_one_way(int from, int to) override {
        // Sent to a station that does not exist.
        set_neighbour(from, to, "02:77:00:00:ff:ff");
    }
    void heal_one_way(int from, int to) override { set_neighbour(from, to, mac(to)); }

    void slow_host(int node, const std::string& rate) override {
        set_queue(node, "replace", {"tbf", "rate", rate, "burst", "8kb", "limit", "64kb"});
    }
    void heal_slow_host(int node) override { set_queue(node, "del", {}); }

  private:
    std::string address(int node) const { return host(node) + (ipv6_ ? "/64" : "/24"); }
    // Without asking first whether somebody has it, which takes a second.
    std::string address_options() const { return ipv6_ ? " nodad" : ""; }
    static std::string port(int node) { return "port" + std::to_string(node); }

    static std::string mac(int node) {
        char text[18];
        std::snprintf(text, sizeof text, "02:77:00:00:00:%02x",
                      static_cast<unsigned>(node == kHub ? 254 : node + 1) & 0xffu);
        return text;
    }

    std::string neighbour(int node, const std::string& address, const std::string& device) const {
        return "neigh replace " + host(node) + " lladdr " + address + " dev " + device +
               " nud permanent\n";
    }

    void set_port_state(int node, const char* state) {
        must({"bridge", "link", "set", "dev", port(node), "state", state});
    }

    void set_neighbour(int from, int to, const std::string& address) {
        if (from == kHub) {
            must({"ip", "-batch", "-"}, neighbour(to, address, kBridge));
        } else {
            must({"nsenter", "--net=" + namespace_path(from), "ip", "-batch", "-"},
                 neighbour(to, address, "eth0"));
        }
    }

    // At both ends of its cable.
    void set_queue(int node, const char* verb, const std::vector<std::string>& kind) {
        std::vector<std::string> inside{
            "nsenter", "--net=" + namespace_path(node), "tc", "qdisc", verb, "dev", "eth0", "root"};
        std::vector<std::string> outside{"tc", "qdisc", verb, "dev", port(node), "root"};
        for (std::vector<std::string>* argv : {&inside, &outside}) {
            argv->insert(argv->end(), kind.begin(), kind.end());
            must(*argv);
        }
    }

    int nodes_;
    std::string directory_;
    bool ipv6_;
};

class LoopbackNetwork : public Network {
  public:
    explicit LoopbackNetwork(int nodes) {
        std::vector<std::string> hosts;
        for (int node = 0; node < nodes; ++node) {
            hosts.push_back(LoopbackNetwork::host(node));
            postgres_ports_.push_back(free_port({hosts.back()}, 5501 + node));
        }
        ssh_port_ = free_port(hosts, 2222);
    }

    void set_up() override {}
    void tear_down() override {}

    std::string host(int node) const override {
        return node == kHub ? "127.0.0.1" : "127.0.77." + std::to_string(node + 1);
    }
    int postgres_port(int node) const override {
        return postgres_ports_.at(static_cast<std::size_t>(node));
    }
    int ssh_port() const override { return ssh_port_; }
    std::string listen_addresses(int node) const override { return host(node); }
    std::string hub_listen_address() const override { return host(kHub); }
    std::vector<std::string> client_networks() const override { return {"127.0.0.0/8"}; }
    std::string namespace_path(int) const override { return ""; }

    void cut_host(int) override { refuse(); }
    void heal_host(int) override { refuse(); }
    void cut_one_way(int, int) override { refuse(); }
    void heal_one_way(int, int) override { refuse(); }
    void slow_host(int, const std::string&) override { refuse(); }
    void heal_slow_host(int) override { refuse(); }

  private:
    [[noreturn]] static void refuse() {
        throw HarnessError("a host on the loopback interface cannot be cut off");
    }

    std::vector<int> postgres_ports_;
    int ssh_port_ = 0;
};

class SocketNetwork : public LoopbackNetwork {
  public:
    using LoopbackNetwork::LoopbackNetwork;
    std::string host(int node) const override {
        return node == kHub ? LoopbackNetwork::host(node) : socket_directory();
    }
    std::string ssh_host(int node) const override { return LoopbackNetwork::host(node); }
    std::string socket_directory() const override { return "/var/run/postgresql"; }
    std::string listen_addresses(int) const override { return ""; }
};

}  // namespace

std::unique_ptr<Network> make_network(NetworkMode mode, int nodes, const std::string& directory) {
    if (mode == NetworkMode::sockets) {
        return std::make_unique<SocketNetwork>(nodes);
    }
    if (mode == NetworkMode::loopback) {
        return std::make_unique<LoopbackNetwork>(nodes);
    }
    return std::make_unique<NamespaceNetwork>(nodes, directory, mode == NetworkMode::ipv6);
}

}  // namespace hooks::harness
