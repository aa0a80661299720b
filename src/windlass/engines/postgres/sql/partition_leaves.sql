-- Every partition that holds rows, with the root of its tree.
select c.oid::bigint                                    as oid,
       n.nspname::text                                  as schema,
       c.relname::text                                  as name,
       c.relkind = 'r'                                  as is_table,
       rn.nspname::text                                 as root_schema,
       r.relname::text                                  as root_name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join lateral pg_partition_root(c.oid) tree (root)
  join pg_class r on r.oid = tree.root
  join pg_namespace rn on rn.oid = r.relnamespace
 where c.relispartition
   and c.relkind in ('r', 'f')
 order by 2, 3
