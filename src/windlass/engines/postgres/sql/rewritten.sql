-- Relations of a snapshot that were truncated, rewritten, renamed or replaced since: it cannot read them. The functions
-- look at the catalog as it is now. For a session that has locked them.
select n.nspname as schema, c.relname as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join unnest($1::text[], $2::text[]) as wanted (schema, name) on wanted.schema = n.nspname and wanted.name = c.relname
 where to_regclass(format('%I.%I', n.nspname, c.relname))::oid is distinct from c.oid
    or (c.relfilenode <> 0 and pg_relation_filenode(c.oid) is distinct from c.relfilenode::oid)
 order by 1, 2
