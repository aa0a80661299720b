-- Backups of rewrites: by the comment, which only the owner can have set, or, before a run has written,
-- by the name.
select n.nspname as schema,
       c.relname as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
   and (obj_description(c.oid, 'pg_class') ~ '^Backup of .* by windlass run \S+\.$'
        or c.relname ~ '^windlass_\d{8}_\d{4}_[0-9a-f]{4}$')
