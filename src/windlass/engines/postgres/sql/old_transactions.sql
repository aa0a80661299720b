-- Transactions that a slot has to wait for, the oldest first: those that have written, or hold back
-- what is visible, for more than a minute; and prepared ones, of this database.
select a.pid                                            as pid,
       ''::text                                         as prepared,
       a.usename                                        as user,
       coalesce(a.application_name, '')                 as application,
       extract(epoch from now() - a.xact_start)::float8 as seconds,
       left(coalesce(a.query, ''), 200)                 as query
  from pg_stat_activity a
 where a.backend_xid is not null
   and a.pid <> pg_backend_pid()
   and a.backend_type = 'client backend'
   and now() - a.xact_start > interval '1 minute'
 union all
select 0, p.gid, p.owner, '', extract(epoch from now() - p.prepared)::float8, ''
  from pg_prepared_xacts p
 where p.database = current_database()
 order by seconds desc
