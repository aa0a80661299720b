-- Constraints of tables, with the columns of keys in their order.
select o.conrelid::bigint                               as relation,
       o.conname                                        as name,
       o.contype::text                                  as kind,
       array(select a.attname::text
               from unnest(o.conkey) with ordinality as k (num, at)
               join pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.num
              order by k.at)                            as columns,
       coalesce(n.nspname, '')                          as referred_schema,
       coalesce(f.relname, '')                          as referred_name,
       array(select a.attname::text
               from unnest(o.confkey) with ordinality as k (num, at)
               join pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.num
              order by k.at)                            as referred,
       o.confupdtype::text                              as on_update,
       o.confdeltype::text                              as on_delete,
       o.confmatchtype = 'f'                            as matches_full,
       o.condeferrable                                  as is_deferrable,
       o.condeferred                                    as is_deferred,
       o.convalidated                                   as is_validated,
       coalesce(pg_get_expr(o.conbin, o.conrelid), '')  as expression,
       pg_get_constraintdef(o.oid)                      as definition
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  left join pg_class f on f.oid = o.confrelid
  left join pg_namespace n on n.oid = f.relnamespace
 where o.contype in ('p', 'u', 'f', 'c', 'x')
   and c.relkind in ('r', 'p')
   and not c.relispartition
   and o.conparentid = 0
 order by o.conrelid, o.contype, o.conname
