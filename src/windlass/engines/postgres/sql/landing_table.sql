-- What decides whether rows can be loaded into the table with the OID $1.
select n.nspname::text                                                     as schema,
       c.relname::text                                                     as name,
       c.relkind::text                                                     as kind,
       c.relpersistence::text                                              as persistence,
       c.reltuples::bigint                                                 as rows,
       pg_catalog.row_security_active(c.oid)                               as has_row_security,
       n.nspname in ('pg_catalog', 'information_schema', 'windlass')       as is_system,
       exists (select from pg_catalog.pg_rewrite r
                where r.ev_class = c.oid and c.relkind in ('r', 'p'))      as has_rules,
       pg_catalog.has_table_privilege(c.oid, 'select')                     as can_select,
       pg_catalog.has_any_column_privilege(c.oid, 'insert')                as can_insert,
       pg_catalog.has_any_column_privilege(c.oid, 'update')                as can_update,
       pg_catalog.has_table_privilege(c.oid, 'delete')                     as can_delete,
       pg_catalog.has_table_privilege(c.oid, 'update, delete, truncate')   as can_lock,
       pg_catalog.pg_has_role(c.relowner, 'usage')                         as is_owner,
       array(select f.conrelid::pg_catalog.regclass::text || ' (' || f.conname || ')'
               from pg_catalog.pg_constraint f
              where f.confrelid = c.oid and f.contype = 'f' and f.confdeltype not in ('a', 'r')
              order by 1)                                                  as carries_deletes
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.oid = $1::oid
