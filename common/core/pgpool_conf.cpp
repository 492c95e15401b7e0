#include "common/core/pgpool_conf.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "common/core/conninfo.h"
#include "common/core/error.h"

namespace hooks {
namespace {

int number(const ConfFile& file, const ConfSetting& setting) {
    int value = 0;
    const char* const end = setting.value.data() + setting.value.size();
    const auto [stopped, error] = std::from_chars(setting.value.data(), end, value);
    if (error != std::errc() || stopped != end || value < 0 || value > 65535) {
        throw Error(ErrorKind::config,
                    fmt::format("{}:{}: {} is \"{}\", which is not a port", file.origin(),
                                setting.line, setting.name, setting.value),
                    "Correct that line of pgpool.conf.");
    }
    return value;
}

// The ids for which `prefix`ID is set.
std::set<int> ids_of(const ConfFile& file, std::string_view prefix) {
    std::set<int> ids;
    for (const ConfSetting& setting : file.settings()) {
        const std::string_view name = setting.name;
        if (!name.starts_with(prefix)) {
            continue;
        }
        int id = 0;
        const char* const end = name.data() + name.size();
        const auto [stopped, error] = std::from_chars(name.data() + prefix.size(), end, id);
        if (error == std::errc() && stopped == end && id >= 0) {
            ids.insert(id);
        }
    }
    return ids;
}

}  // namespace

std::string Backend::label() const {
    if (id < 0) {
        return port == 0 ? host : host_and_port(host, std::to_string(port));
    }
    return fmt::format("node {} ({})", id, host_and_port(host, std::to_string(port)));
}

const Backend* PgpoolConf::find(int id) const {
    const auto backend = std::find_if(backends.begin(), backends.end(),
                                      [&](const Backend& each) { return each.id == id; });
    return backend == backends.end() ? nullptr : &*backend;
}

PgpoolConf parse_pgpool_conf(const ConfFile& file, std::string path) {
    PgpoolConf conf;
    conf.path = std::move(path);
    for (const int id : ids_of(file, "backend_port")) {
        const auto text = [&](std::string_view prefix) {
            return file.value(fmt::format("{}{}", prefix, id)).value_or("");
        };
        const ConfSetting* const port_setting = file.find(fmt::format("backend_port{}", id));
        const int port = port_setting == nullptr ? 0 : number(file, *port_setting);
        if (port != 0) {
            conf.backends.push_back({id, text("backend_hostname"), port,
                                     text("backend_data_directory"),
                                     text("backend_application_name")});
        }
    }
    if (conf.backends.empty()) {
        throw Error(ErrorKind::config, fmt::format("{}: no backend is set", file.origin()),
                    "Each backend needs backend_hostnameN and backend_portN; included files are "
                    "not read.");
    }
    for (const char* name : {"follow_primary_command", "follow_master_command"}) {
        conf.follows = conf.follows || !file.value(name).value_or("").empty();
    }
    if (const ConfSetting* const setting = file.find("pcp_port")) {
        conf.pcp_port = number(file, *setting);
    }
    conf.pcp_listen_addresses = file.value("pcp_listen_addresses").value_or("");
    conf.pcp_socket_dir = file.value("pcp_socket_dir").value_or("");
    return conf;
}

}  // namespace hooks
