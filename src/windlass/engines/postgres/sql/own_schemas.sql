-- Schemas of runs into this database: the journal, identified by its tables, and set-aside schemas,
-- identified by name, comment and owner (the journal's, a superuser, or the database's). `is_own`
-- is false of a schema under the journal's name that is a user's, or holds something of a user.
with journal as (
select n.oid, t.relowner as owner,
       not exists (select from pg_class o
                    where o.relnamespace = n.oid and o.relkind in ('r', 'p', 'v', 'm', 'f')
                      and (o.relkind <> 'r' or o.relowner <> t.relowner or o.relname !~
                           '^(run|snapshot|line|crash_marker|survivor|watermark|schema_version|following|applied|marker|request|ddl|act|log|rewrite_.*|kept_.*|deleted_.*|repair_.*|stage_.*|undo_.*|refused_.*)$')) as is_own
  from pg_namespace n
  join pg_class t on t.relnamespace = n.oid and t.relname = 'run' and t.relkind = 'r'
 where n.nspname = 'windlass'
   and (select array_agg(a.attname::text order by a.attname)
          from pg_attribute a
         where a.attrelid = t.oid and a.attname in ('run', 'state', 'source', 'essence', 'plan')
       ) = array['essence', 'plan', 'run', 'source', 'state']
   and exists (select from pg_class l
                where l.relnamespace = n.oid and l.relname = 'line' and l.relkind = 'r')
), trusted as (
select owner as oid from journal where is_own
union all
select oid from pg_roles where rolsuper
union all
select datdba from pg_database where datname = current_database()
)
select n.nspname                                        as name,
       pg_get_userbyid(n.nspowner)::text                as owner,
       coalesce(j.is_own, false)                        as is_own
  from pg_namespace n
  left join journal j on j.oid = n.oid
 where n.nspname = 'windlass'
union all
select n.nspname, pg_get_userbyid(n.nspowner)::text, true
  from pg_namespace n
 where n.nspname ~ '^windlass_\d{8}_\d{4}_[0-9a-f]{4}_'
   and obj_description(n.oid, 'pg_namespace') ~ '^Set aside by windlass'
   and n.nspowner in (select oid from trusted)
 order by 1
