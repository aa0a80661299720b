-- Indexes that can identify rows or cut a relation: plain columns, whole relation, btree.
select i.indrelid::bigint                               as relation,
       c.relname                                        as name,
       i.indisprimary                                   as is_primary,
       i.indisunique and i.indimmediate                 as is_unique,
       (select array_agg(a.attname order by k.place)
          from unnest(i.indkey::int2[]) with ordinality as k(number, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
         where k.place <= i.indnkeyatts)                 as columns,
       (select array_agg(a.atttypid::bigint order by k.place)
          from unnest(i.indkey::int2[]) with ordinality as k(number, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
         where k.place <= i.indnkeyatts)                 as types,
       (select bool_and(a.attnotnull and not exists (
               -- since 18 a NOT NULL can be NOT VALID, with NULLs there
               select from pg_constraint o
                where o.conrelid = a.attrelid and o.contype = 'n' and not o.convalidated
                  and o.conkey = array[a.attnum]))
          from unnest(i.indkey::int2[]) with ordinality as k(number, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
         where k.place <= i.indnkeyatts)                 as not_null,
       -- an extension may order a type of the server's differently; and so may a collation in which
       -- different texts are equal
       not exists (select from unnest(i.indclass::oid[], i.indcollation::oid[]) as k(class, coll)
                     join pg_opclass o on o.oid = k.class
                     left join pg_collation l on l.oid = k.coll
                    where o.opcnamespace <> 'pg_catalog'::regnamespace
                       or not coalesce(l.collisdeterministic, true)) as is_orderly
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_am m on m.oid = c.relam
  join pg_namespace n on n.oid = c.relnamespace
 where i.indisvalid
   and i.indpred is null
   and i.indexprs is null
   and m.amname = 'btree'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
 order by i.indrelid, not i.indisprimary, not i.indisunique, i.indnkeyatts, c.relname
