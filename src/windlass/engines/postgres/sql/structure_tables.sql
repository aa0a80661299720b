-- Tables as another engine would have them: a partitioned one as a whole, without its partitions.
with recursive parts (root, part) as (
  select c.oid, c.oid from pg_class c where c.relkind = 'p' and not c.relispartition
   union all
  select p.root, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.part
)
select c.oid::bigint                                    as oid,
       n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind::text                                  as kind,
       c.relkind = 'p'                                  as partitioned,
       coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
       has_table_privilege(c.oid, 'select')             as readable,
       case when c.relkind = 'p'
            then coalesce((select sum(greatest(o.reltuples, 0)) from parts p
                            join pg_class o on o.oid = p.part
                           where p.root = c.oid and o.relkind = 'r'), 0)
            else c.reltuples end::bigint                as rows,
       case when c.relkind = 'p'
            then coalesce((select sum(pg_table_size(p.part)) from parts p
                           where p.root = c.oid), 0)
            else pg_table_size(c.oid) end::bigint       as size_bytes,
       case when c.relkind = 'r' and a.amname = 'heap'
            then pg_relation_size(c.oid) / current_setting('block_size')::bigint
            else 0 end::bigint                          as blocks
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am a on a.oid = c.relam
 where c.relkind in ('r', 'p')
   and not c.relispartition
   and c.relpersistence <> 't'
   and has_table_privilege(c.oid, 'select') is not null  -- it was dropped since the snapshot was taken
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by n.nspname, c.relname
