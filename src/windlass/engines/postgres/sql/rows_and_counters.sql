-- Tables and sequences of users. Of a partition `stands_for_it` is its root, of others itself; a sequence of a
-- column is left out, as it goes with the column's table.
select n.nspname::text                                          as schema,
       c.relname::text                                          as name,
       c.oid::bigint                                            as oid,
       (case when c.relispartition then pg_partition_root(c.oid)
             else c.oid end)::oid::bigint                       as stands_for_it
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'S')
   and c.relpersistence <> 't'
   and n.nspname not in ('windlass', 'information_schema')
   and n.nspname !~ '^pg_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid
                      and (d.deptype = 'e'
                           or c.relkind = 'S' and d.refclassid = 'pg_class'::regclass
                              and d.deptype in ('a', 'i')))
 order by 1, 2
