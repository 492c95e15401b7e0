// Who connects to whom, as what: the connection strings of inspection, rewind, base backup and
// streaming. None of them holds a password; those come from passfiles.
#pragma once

#include "common/core/config.h"
#include "common/core/conninfo.h"
#include "common/core/pgpool_conf.h"

namespace hooks {

// From here to a server: postgres_user, postgres_database, passfile.
Conninfo inspection_conninfo(const Backend& backend, const Config& config);

// From a node to the source of its rewind (`source_major`: what its libpq knows). TLS keywords come
// from replication_conninfo.
Conninfo rewind_source(const Backend& source, const Config& config, int source_major);
// The same for a base backup: as replication_user, without a database.
Conninfo backup_source(const Backend& source, const Config& config, int source_major);

// The primary_conninfo of `target`: what it has now (so that sslmode, passfile and the like stay,
// and from 17 on dbname, without which no logical slots are synchronized), with host, port, user
// and application_name of this configuration, and replication_conninfo.
Conninfo primary_conninfo_for(const Backend& target, const Backend& source, const Config& config,
                              const Conninfo& present, int major);

}  // namespace hooks
