-- Sessions of others that wait for a lock on a relation which a session of one run has: process
-- $1, or a session with one of the names $2. Queries behind them wait, too. Only pg_read_all_stats shows
-- what other users' sessions run.
  with activity as (
       select pid, usename, application_name, backend_type, query, query_start,
              coalesce(usename = session_user and datname = current_database()
                       and application_name = any($2::text[]), false) as ours
         from pg_stat_activity),
       waiting as (
       select l.pid, min(l.relation::bigint)::oid       as relation
         from pg_locks l
         join pg_database d on d.oid = l.database
        where d.datname = current_database()
          and l.locktype = 'relation'
          and not l.granted
        group by l.pid)
select waiting.pid                                      as pid,
       coalesce(nullif(other.application_name, ''), other.backend_type, '') as application,
       coalesce(other.usename, '')                      as user_name,
       coalesce(to_char(other.query_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), '')
                                                        as since,
       n.nspname                                        as schema,
       c.relname                                        as name,
       coalesce(other.query, '')                        as query
  from waiting
  join activity other on other.pid = waiting.pid
  left join pg_class c on c.oid = waiting.relation
  left join pg_namespace n on n.oid = c.relnamespace
 where not other.ours
   and waiting.pid <> $1::int
   and exists (
       select
         from unnest(pg_blocking_pids(waiting.pid)) as blocker(pid)
         left join activity ours on ours.pid = blocker.pid
        where blocker.pid = $1::int
           or ours.ours)
 order by waiting.pid
