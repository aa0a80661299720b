-- What a server lets its changes be read by. Rights are this user's; a service's own role may
-- replicate in place of the attribute.
select current_setting('wal_level')                                        as wal_level,
       pg_is_in_recovery()                                                 as is_standby,
       current_setting('max_replication_slots')::int
         - (select count(*) from pg_replication_slots)::int                as free_slots,
       current_setting('max_wal_senders')::int
         - (select count(*) from pg_stat_replication)::int                 as free_senders,
       r.rolsuper or r.rolreplication
         or exists (select from pg_roles m
                     where m.rolname in ('rds_replication')
                       and pg_has_role(r.oid, m.oid, 'usage'))             as may_replicate,
       has_database_privilege(current_database(), 'create')                as may_create,
       r.rolsuper                                                          as is_superuser,
       current_user::text                                                  as user,
       current_database()::text                                            as database,
       exists (select from pg_settings
                where name = 'rds.logical_replication')                    as is_rds,
       array(select format('%s of %s, prepared at %s', gid, owner, prepared)
               from pg_prepared_xacts
              order by prepared)::text[]                                   as prepared
  from pg_roles r
 where r.rolname = current_user
