-- Which columns a foreign key compares with which. One with PERIOD, since 18, compares otherwise.
select n.nspname                                        as schema,
       c.relname                                        as relation,
       o.conname                                        as name,
       rn.nspname                                       as referred_schema,
       r.relname                                        as referred,
       array(select a.attname::text
               from unnest(o.conkey) with ordinality k (number, place)
               join pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.number
              order by k.place)                         as columns,
       array(select a.attname::text
               from unnest(o.confkey) with ordinality k (number, place)
               join pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.number
              order by k.place)                         as referred_columns,
       o.confmatchtype = 'f'                            as is_full
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class r on r.oid = o.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
 where o.contype = 'f'
   and not coalesce((to_jsonb(o) ->> 'conperiod')::boolean, false)
