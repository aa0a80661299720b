-- Tables of extensions in which users keep rows of their own, and the condition that finds those, as
-- CREATE EXTENSION has registered them (pg_extension_config_dump).
select e.extname                                        as extension,
       n.nspname                                        as schema,
       c.relname                                        as name,
       t.condition                                      as condition,
       has_table_privilege(c.oid, 'select')
         and has_schema_privilege(n.oid, 'usage')
         and not row_security_active(c.oid)             as readable
  from pg_extension e
 cross join unnest(e.extconfig, e.extcondition) as t(oid, condition)
  join pg_class c on c.oid = t.oid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
 order by 1, 2, 3
