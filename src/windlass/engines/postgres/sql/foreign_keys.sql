-- Foreign keys that have a separate entry, by which they are added and validated.
select o.oid::bigint                                    as oid,
       n.nspname                                        as schema,
       c.relname                                        as relation,
       o.conname                                        as name,
       o.convalidated                                   as validated,
       c.relkind = 'p'                                  as is_partitioned
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace
 where o.contype = 'f'
   and o.conparentid = 0
