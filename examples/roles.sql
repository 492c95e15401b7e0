-- A role for postgres_user of hooks.conf that is no superuser, with what the hooks need and no more.
--
--     psql -X -v ON_ERROR_STOP=1 -f roles.sql DATABASE
--     \password pgpool_hooks
--
-- Run it once, as a superuser, on the primary (the standbys get it by replication), in the database
-- that postgres_database names ("postgres"): grants on functions hold in one database only. Run it
-- again after pg_upgrade or when this file has changed; it may be run any number of times.
-- Another name: psql -v role=NAME.
--
-- The hooks need no superuser for failover, follow, rejoin, online recovery and switchover on any
-- version from 10 on. What they do in another way, or not at all, before 15:
--
--   10 to 14   ALTER SYSTEM cannot be granted. A running standby is re-pointed by a restart, which
--              needs ssh, also on 13 and 14. Walreceivers and restore_command are not held for the
--              vote (a restore_command that hangs is found by ssh, and the server started without
--              it). relax_synchronous does nothing but warn.
--   10, 11     There is no pg_promote() to grant: pg_ctl promotes, by ssh, for a superuser, too.
--   10         The functions that read files cannot be granted: in place of a rewind comes a base
--              backup. Histories of timelines are read as a standby reads them.
--
-- Superusers all the same: recovery_user of pgpool.conf, since pgpool_recovery() and
-- pgpool_remote_start() of Pgpool-II check for one, and who creates that extension.
--
-- This role can do much: pg_rewind reads every file of the data directory through it, and who sets
-- restore_command runs programs as the server's account. Guard its password like a superuser's.
-- The last connections of a server (superuser_reserved_connections) are not for it: on 16 and later
-- set reserved_connections, before keep max_connections above what pgpool and others open.

\if :{?role} \else \set role pgpool_hooks \endif
SELECT current_setting('server_version_num')::int >= 110000 AS from_11,
       current_setting('server_version_num')::int BETWEEN 110000 AND 139999 AS from_11_to_13,
       current_setting('server_version_num')::int < 150000 AS before_15,
       current_setting('server_version_num')::int >= 120000 AS from_12,
       current_setting('server_version_num')::int >= 150000 AS from_15,
       current_setting('server_version_num')::int >= 160000 AS from_16,
       NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS is_new \gset

\if :is_new
CREATE ROLE :"role" LOGIN;
\endif
-- Slots are made and dropped with it. It may be replication_user, too.
ALTER ROLE :"role" REPLICATION;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";

-- pg_ls_waldir(), what walreceivers and walsenders do, settings as primary_conninfo, sizes, and who
-- holds a lock.
GRANT pg_monitor TO :"role";
GRANT EXECUTE ON FUNCTION pg_reload_conf(), pg_wal_replay_resume() TO :"role";
-- What postgresql.auto.conf has: settings that an earlier run held are put back.
GRANT SELECT ON pg_file_settings TO :"role";
GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO :"role";

\if :from_11
-- pg_rewind, and the histories of timelines.
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean),
      pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean) TO :"role";
\endif
\if :from_11_to_13
-- pg_rewind notes there what it wants to read.
GRANT TEMPORARY ON DATABASE :"DBNAME" TO :"role";
\endif
\if :from_12
GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO :"role";
\endif
\if :before_15
-- An immediate checkpoint, before a rewind and before the primary is shut down for a switchover:
-- CHECKPOINT cannot be granted, the begin of a base backup, which is one, can.
GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)
      TO :"role";
\endif
\if :from_15
GRANT pg_checkpoint TO :"role";
GRANT ALTER SYSTEM ON PARAMETER primary_conninfo, primary_slot_name TO :"role";
-- Where restore_command is set: so that an archive cannot hold up a promotion.
GRANT ALTER SYSTEM ON PARAMETER restore_command TO :"role";
-- For relax_synchronous, and the note of what was there.
GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names,
      pgpool_hooks.synchronous_standby_names TO :"role";
-- So that no primary_conninfo comes into the server's log.
GRANT SET ON PARAMETER log_statement, log_min_duration_statement, log_min_error_statement,
      log_transaction_sample_rate, log_min_duration_sample TO :"role";
\endif
\if :from_16
GRANT pg_use_reserved_connections TO :"role";
\endif
