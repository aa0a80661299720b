-- What of this database's tables does not hold or is not used yet: constraints, indexes.
select n.nspname::text                                  as schema,
       t.relname::text                                  as name,
       format('constraint %I', c.conname)               as what,
       format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, t.relname, c.conname)
                                                        as remedy
  from pg_constraint c
  join pg_class t on t.oid = c.conrelid
  join pg_namespace n on n.oid = t.relnamespace
 where not c.convalidated
   and c.contype in ('f', 'c')
   and n.nspname not in ('pg_catalog', 'information_schema', 'windlass')
union all
select n.nspname, t.relname, format('index %I', i.relname),
       format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, i.relname)
  from pg_index x
  join pg_class i on i.oid = x.indexrelid
  join pg_class t on t.oid = x.indrelid
  join pg_namespace n on n.oid = t.relnamespace
 where not x.indisvalid
   and i.relkind = 'i'
   and n.nspname not in ('pg_catalog', 'information_schema', 'windlass', 'pg_toast')
 order by 1, 2, 3
