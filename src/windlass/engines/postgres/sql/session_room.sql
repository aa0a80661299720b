-- How many sessions Windlass could have here as this user, including its present ones: the minimum
-- that the connection limits of server, database and role leave.
  with activity as (
       select datid, usesysid,
              coalesce(usename = session_user and application_name like 'windlass %', false) as ours
         from pg_stat_activity
        where datid is not null),
       used as (
       select count(*) filter (where not ours)          as by_others,
              count(*) filter (where not ours and datid = d.oid) as in_database,
              count(*) filter (where not ours and usesysid = r.oid) as by_user
         from activity, pg_database d, pg_roles r
        where d.datname = current_database()
          and r.rolname = session_user)
select least(
         current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int - by_others,
         case when d.datconnlimit >= 0 and not r.rolsuper then d.datconnlimit - in_database end,
         case when r.rolconnlimit >= 0 and not r.rolsuper then r.rolconnlimit - by_user end
       )::int                                           as room
  from used, pg_database d, pg_roles r
 where d.datname = current_database()
   and r.rolname = session_user
