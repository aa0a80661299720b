-- Other sessions of this database that could write. Of other users' sessions, only pg_read_all_stats
-- shows kind, transaction and statement; that a session has written is shown to all.
select a.pid                                            as pid,
       coalesce(a.usename::text, '')                    as user_name,
       coalesce(a.application_name, '')                 as application,
       a.backend_xid is not null                        as has_written,
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8
                                                        as transaction_seconds,
       coalesce(left(a.query, 400), '')                 as query,
       coalesce(a.usename = session_user, false)        as is_of_this_user,
       m.rolsuper or (not coalesce(r.rolsuper, false)
                      and (pg_has_role(m.oid, a.usesysid, 'usage')
                           or pg_has_role(m.oid, 'pg_signal_backend', 'usage')))
                                                        as can_be_ended
  from pg_stat_activity a
  join pg_roles m on m.rolname = current_user
  left join pg_roles r on r.oid = a.usesysid
 where a.datname = current_database()
   and a.pid <> pg_backend_pid()
   and coalesce(a.backend_type, 'client backend')
       not in ('walsender', 'autovacuum worker', 'autovacuum launcher', 'parallel worker',
               'logical replication launcher', 'logical replication worker',
               'logical replication apply worker', 'logical replication tablesync worker',
               'logical replication parallel worker', 'slotsync worker')
 order by a.pid
