-- Backups of rewrites: by the comment, which only the owner can have set, or, before a run has written,
-- by the name. `is_trusted`: the owner is a superuser or the database's owner.
select n.nspname                                       as schema,
       c.relname                                       as name,
       pg_get_userbyid(c.relowner)::text               as owner,
       c.relowner in (select oid from pg_roles where rolsuper
                      union all
                      select datdba from pg_database where datname = current_database()) as is_trusted
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
   and (obj_description(c.oid, 'pg_class') ~ '^Backup of .* by windlass run \S+\.$'
        or c.relname ~ '^windlass_\d{8}_\d{4}_[0-9a-f]{4}$')
