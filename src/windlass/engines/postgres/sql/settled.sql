-- In the session's time zone. The start of other users' transactions is NULL without the privilege to
-- see them, and that of sessions with track_activities = off for everybody.
select least(clock_timestamp(), min(xact_start),
             (select min(prepared) from pg_prepared_xacts where database = current_database())
            )::text as moment,
       (select reset_val from pg_settings where name = 'TimeZone') as zone,
       coalesce(bool_or(query = '<insufficient privilege>'), false) as is_blind,
       coalesce(array_agg(distinct usename::text) filter (where state = 'disabled'), '{}')
         as untracked,
       pg_is_in_recovery() as is_standby
  from pg_stat_activity
 where datname = current_database()
   and pid <> pg_backend_pid()
   and coalesce(backend_type, '') not in ('autovacuum worker', 'walsender')
