-- The state by which later changes of a relation are detected, and the oldest transaction that a
-- snapshot taken now does not see.
select n.nspname                                        as schema,
       c.relname                                        as name,
       pg_relation_filenode(c.oid)::bigint              as filenode,
       txid_snapshot_xmin(txid_current_snapshot()) & 4294967295 as xmin
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r'
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
