-- Views, with the query that each is.
select c.oid::bigint                                    as oid,
       n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind = 'm'                                  as is_materialized,
       pg_get_viewdef(c.oid)                            as query
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('v', 'm')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by c.oid
