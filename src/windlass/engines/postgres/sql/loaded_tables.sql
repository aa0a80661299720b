-- What can keep a table of a warehouse from being loaded: its kind, row security that hides rows
-- from this role, children by inheritance, missing privileges, foreign keys of other tables, which
-- forbid TRUNCATE, columns whose values the server computes, and columns that views use.
select n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind::text                                  as kind,
       row_security_active(c.oid)                       as hides_rows,
       c.relkind = 'r' and exists (select from pg_inherits where inhparent = c.oid) as has_children,
       has_table_privilege(c.oid, 'insert')             as may_insert,
       has_any_column_privilege(c.oid, 'update')        as may_update,
       has_table_privilege(c.oid, 'truncate')           as may_truncate,
       array(select k.conname || ' of ' || k.conrelid::regclass
               from pg_constraint k
              where k.confrelid = c.oid and k.contype = 'f' and k.conrelid <> c.oid
                and k.conparentid = 0
              order by 1)                               as referrers,
       array(select a.attname::text
               from pg_attribute a
              where a.attrelid = c.oid and a.attgenerated <> '' and not a.attisdropped
              order by a.attnum)                        as generated,
       array(select a.attname::text
               from pg_attribute a
              where a.attrelid = c.oid and a.attidentity = 'a' and not a.attisdropped
              order by a.attnum)                        as identities,
       array(select distinct a.attname::text
               from pg_depend d
               join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
              where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid > 0
                and d.classid = 'pg_rewrite'::regclass
              order by 1)                               as viewed
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f')
