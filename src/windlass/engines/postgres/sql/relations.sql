-- Every relation a pattern can name, with what planning needs. Extensions' own are not the user's.
select c.oid::bigint                                    as oid,
       n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind                                        as kind,
       case when c.relkind in ('r', 'm')
            then pg_relation_size(c.oid) / current_setting('block_size')::int
            else 0 end                                  as blocks,
       case when c.relkind in ('r', 'm') then pg_table_size(c.oid) else 0 end as size_bytes,
       c.reltuples::bigint                              as rows,
       pn.nspname                                       as parent_schema,
       p.relname                                        as parent_name,
       c.relhassubclass                                 as has_children,
       c.relispopulated                                 as populated,
       coalesce(am.amname = 'heap', false)
         and current_setting('server_version_num')::int >= 140000 as tid_range_scan,
       case when c.relkind = 'r' then has_table_privilege(c.oid, 'select')
                                   or has_any_column_privilege(c.oid, 'select')
            else true end                               as readable,
       c.relkind = 'r' and row_security_active(c.oid)   as hides_rows,
       has_schema_privilege(n.oid, 'usage')             as reachable
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am am on am.oid = c.relam
  left join pg_inherits i on i.inhrelid = c.oid and c.relispartition
  left join pg_class p on p.oid = i.inhparent
  left join pg_namespace pn on pn.oid = p.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by n.nspname, c.relname
