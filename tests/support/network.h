// The hosts of a test cluster: a network namespace for each node behind one bridge, or addresses
// on the loopback interface where namespaces are not allowed.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace hooks::harness {

enum class NetworkMode {
    namespaces,  // needs a sandbox; hosts can be cut off
    ipv6,        // the same, with nothing but IPv6 addresses
    loopback,    // any user; a port for each node
    sockets,     // the same, and PostgreSQL is reached by its unix socket only
};

// Pgpool, the hooks and the clients live here.
constexpr int kHub = -1;

class Network {
  public:
    virtual ~Network() = default;

    virtual void set_up() = 0;
    virtual void tear_down() = 0;

    virtual std::string host(int node) const = 0;
    virtual int postgres_port(int node) const = 0;
    virtual int ssh_port() const = 0;
    virtual std::string ssh_host(int node) const { return host(node); }
    virtual std::string socket_directory() const { return ""; }  // of PostgreSQL
    virtual std::string listen_addresses(int node) const = 0;    // of PostgreSQL
    virtual std::string hub_listen_address() const = 0;          // of pgpool
    // As pg_hba.conf wants them.
    virtual std::vector<std::string> client_networks() const = 0;
    // For nsenter(1); empty when the node has none of its own.
    virtual std::string namespace_path(int node) const = 0;

    // Packets to and from the host are dropped without a word: connects time out, connections
    // that are open hang.
    virtual void cut_host(int node) = 0;
    virtual void heal_host(int node) = 0;
    // Only packets from one to the other are lost. Either may be kHub.
    virtual void cut_one_way(int from, int to) = 0;
    virtual void heal_one_way(int from, int to) = 0;
    // What the host sends and gets goes at this rate, as tc(8) writes it: "500kbit".
    virtual void slow_host(int node, const std::string& rate) = 0;
    virtual void heal_slow_host(int node) = 0;
};

// `directory` is where the namespaces are kept by name.
std::unique_ptr<Network> make_network(NetworkMode mode, int nodes, const std::string& directory);

}  // namespace hooks::harness
