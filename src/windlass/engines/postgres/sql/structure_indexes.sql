-- Indexes that belong to no constraint; each key as a column or as an expression.
select i.indrelid::bigint                               as relation,
       c.relname                                        as name,
       m.amname                                         as method,
       i.indisunique                                    as is_unique,
       i.indisvalid                                     as is_valid,
       array(select coalesce(a.attname::text, '')
               from generate_series(1, i.indnkeyatts) as k (at)
               left join pg_attribute a on a.attrelid = i.indrelid
                and a.attnum = i.indkey[k.at - 1] and a.attnum > 0
              order by k.at)                            as columns,
       array(select case when i.indkey[k.at - 1] = 0
                         then pg_get_indexdef(i.indexrelid, k.at, false) else '' end
               from generate_series(1, i.indnkeyatts) as k (at)
              order by k.at)                            as expressions,
       array(select (i.indoption[k.at - 1] & 1) = 1
               from generate_series(1, i.indnkeyatts) as k (at)
              order by k.at)                            as descends,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') as condition,
       pg_get_indexdef(i.indexrelid)                    as definition
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class r on r.oid = i.indrelid
  join pg_am m on m.oid = c.relam
 where r.relkind in ('r', 'p')
   and not r.relispartition
   and not exists (select from pg_constraint o where o.conindid = i.indexrelid
                      and o.contype in ('p', 'u', 'x'))
 order by i.indrelid, c.relname
