-- Primary key and unique constraints on btree indexes: the index can be built separately and
-- attached. (WITHOUT OVERLAPS, since 18, is a gist index and cannot; nor can a partitioned
-- relation's.)
select o.oid::bigint                                    as oid,
       o.conrelid::bigint                               as relation_oid,
       n.nspname                                        as schema,
       c.relname                                        as relation,
       o.contype = 'p'                                  as is_primary,
       o.conname                                        as name,
       pg_get_indexdef(o.conindid)                      as definition,
       o.condeferrable                                  as is_deferrable,
       o.condeferred                                    as is_deferred
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class x on x.oid = o.conindid
  join pg_am m on m.oid = x.relam
 where o.contype in ('p', 'u')
   and x.relkind = 'i'
   and m.amname = 'btree'
