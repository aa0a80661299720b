-- Sessions of Windlass in this database that wait for a lock, with each session that blocks them.
-- Those of one run are left out as blockers of each other. pg_locks is only read for those that wait.
-- A prepared transaction blocks as process 0. Of other users' sessions only pg_read_all_stats shows
-- the start of the transaction.
  with activity as (
       select pid, usename, application_name, backend_type, xact_start, wait_event_type,
              case when usename = session_user and datname = current_database()
                   then substring(application_name
                     from '^windlass (?:control |export )?(control|snapshot|pg_dump|[0-9]{8}_[0-9]{4}_[0-9a-f]+)')
              end                                       as run
         from pg_stat_activity)
select waiting.pid                                      as waiting_pid,
       n.nspname                                        as schema,
       c.relname                                        as name,
       blocker.pid                                      as pid,
       coalesce(nullif(other.application_name, ''), other.backend_type, '') as application,
       coalesce(other.usename, '')                      as user_name,
       coalesce(to_char(other.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), '')
                                                        as since
  from activity waiting
 cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocker(pid)
  left join activity other on other.pid = blocker.pid
  left join lateral (
       select l.relation
         from pg_locks l
        where l.pid = waiting.pid
          and not l.granted
        limit 1) lock on true
  left join pg_class c on c.oid = lock.relation
  left join pg_namespace n on n.oid = c.relnamespace
 where waiting.run is not null
   and waiting.wait_event_type = 'Lock'
   and other.run is distinct from waiting.run
