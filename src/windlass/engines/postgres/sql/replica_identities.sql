-- The replica identity of every table, with the columns by which changed rows are named. A primary
-- key that is deferrable is none.
select c.oid::bigint                                    as oid,
       n.nspname::text                                  as schema,
       c.relname::text                                  as name,
       c.relreplident::text                             as kind,
       c.relkind = 'p'                                  as is_partitioned,
       coalesce((select array_agg(a.attname::text order by k.at)
                   from pg_index i
                  cross join lateral unnest(i.indkey::int2[]) with ordinality as k(number, at)
                   join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                  where i.indrelid = c.oid
                    and i.indisvalid
                    and i.indimmediate
                    and k.at <= i.indnkeyatts
                    and case c.relreplident when 'd' then i.indisprimary
                                            when 'i' then i.indisreplident
                                            else false end), '{}') as columns
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
   and c.relpersistence = 'p'
   and n.nspname <> 'information_schema'
   and n.nspname !~ '^pg_'
