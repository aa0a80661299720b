-- Every partition that holds rows, once for each of its ancestors.
select n.nspname::text as schema, c.relname::text as name,
       rn.nspname::text as root_schema, r.relname::text as root_name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join lateral pg_partition_ancestors(c.oid) ancestor
  join pg_class r on r.oid = ancestor.relid and r.oid <> c.oid
  join pg_namespace rn on rn.oid = r.relnamespace
 where c.relispartition and c.relkind in ('r', 'f')
 order by 1, 2, 3, 4
