-- Tables and sequences of users. `stands_for_it` is the root of a partition, the table (or its root) of
-- a column that a sequence belongs to, and of others itself.
select n.nspname::text                                          as schema,
       c.relname::text                                          as name,
       c.relkind = 'S'                                          as is_sequence,
       c.oid::bigint                                            as oid,
       (case when t.relispartition then pg_partition_root(t.oid)
             else t.oid end)::oid::bigint                       as stands_for_it
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_depend of_column
         on of_column.classid = 'pg_class'::regclass and of_column.objid = c.oid and c.relkind = 'S'
        and of_column.refclassid = 'pg_class'::regclass and of_column.deptype in ('a', 'i')
  join pg_class t on t.oid = coalesce(of_column.refobjid, c.oid)
 where c.relkind in ('r', 'p', 'S')
   and c.relpersistence <> 't'
   and n.nspname not in ('windlass', 'information_schema')
   and n.nspname !~ '^pg_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1, 2
