-- The tables that this session has locked, as its snapshot shows them, and may lock by name. Numbers below 16384 are
-- PostgreSQL's own objects.
select n.nspname as schema,
       c.relname as name
  from pg_catalog.pg_locks l
  join pg_catalog.pg_database d on d.oid = l.database
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where d.datname = pg_catalog.current_database()
   and l.locktype = 'relation'
   and l.pid = pg_catalog.pg_backend_pid()
   and l.relation >= 16384
   and c.relkind in ('r', 'p')
   and pg_catalog.has_table_privilege(c.oid, 'select')
