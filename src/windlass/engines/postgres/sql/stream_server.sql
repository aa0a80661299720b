-- What a server has for streams of changes, and what this session's user may do with it.
select current_setting('wal_level')                     as wal_level,
       pg_is_in_recovery()                              as is_standby,
       current_setting('max_replication_slots')::int    as max_slots,
       (select count(*)::int from pg_replication_slots) as used_slots,
       current_setting('max_wal_senders')::int          as max_senders,
       (select count(*)::int from pg_stat_activity
         where backend_type = 'walsender')              as used_senders,
       coalesce(current_setting('max_slot_wal_keep_size', true), '-1') as wal_kept_at_most,
       r.rolsuper                                       as is_superuser,
       -- a managed service grants REPLICATION through a separate role
       r.rolreplication or r.rolsuper or exists (
           select from pg_roles g
            where g.rolname in ('rds_replication', 'rds_superuser')
              and pg_has_role(r.oid, g.oid, 'usage'))   as may_replicate,
       pg_has_role(d.datdba, 'usage')                   as owns_database,
       has_database_privilege(d.oid, 'create')          as may_create,
       pg_has_role('pg_signal_backend', 'usage') or r.rolsuper as may_end_sessions,
       case when current_setting('rds.logical_replication', true) is not null
              or current_setting('rds.extensions', true) is not null then 'rds'
            when current_setting('cloudsql.logical_decoding', true) is not null
              or current_setting('cloudsql.iam_authentication', true) is not null then 'cloudsql'
            when current_setting('azure.extensions', true) is not null then 'azure'
            when current_setting('neon.tenant_id', true) is not null then 'neon'
            else '' end                                 as service
  from pg_database d, pg_roles r
 where d.datname = current_database()
   and r.rolname = current_user
