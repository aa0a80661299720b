-- Every relation and sequence, and whether this user may read it. pg_dump locks relations that hold
-- rows, for which it needs SELECT on the whole relation.
select n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind::text                                  as kind,
       has_schema_privilege(n.oid, 'usage')             as reachable,
       case when c.relkind in ('r', 'p') then has_table_privilege(c.oid, 'select')
            when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select')
            else true end                               as selectable,
       c.relkind in ('r', 'p') and row_security_active(c.oid) as hides_rows,
       array(select array[pn.nspname, p.relname]::text[]
               from pg_inherits i
               join pg_class p on p.oid = i.inhparent
               join pg_namespace pn on pn.oid = p.relnamespace
              where i.inhrelid = c.oid)                 as parents
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
