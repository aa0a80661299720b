-- Transactions of the whole server that have a number, and so may have written: a new replication
-- slot waits until they have ended. Of other users' sessions only pg_read_all_stats shows more than
-- the process.
select a.pid                                            as pid,
       coalesce(a.application_name, '')                 as name,
       coalesce(a.usename::text, '')                    as user,
       coalesce(a.state, '')                            as state,
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8 as age_seconds,
       coalesce(a.query, '')                            as query
  from pg_stat_activity a
 where a.backend_xid is not null
   and a.pid <> pg_backend_pid()
 union all
select 0, p.gid, p.owner::text, '',
       extract(epoch from clock_timestamp() - p.prepared)::float8, ''
  from pg_prepared_xacts p
 order by age_seconds desc
