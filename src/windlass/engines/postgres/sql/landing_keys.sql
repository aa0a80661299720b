-- Keys of the table with the OID $1: unique at once, for all rows, by columns alone.
select array(select a.attname::text
               from pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, at)
               join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
              where k.at <= i.indnkeyatts
              order by k.at)                                               as columns,
       i.indisprimary                                                      as is_primary
  from pg_catalog.pg_index i
 where i.indrelid = $1::oid
   and i.indisunique and i.indimmediate and i.indisvalid
   and i.indpred is null and i.indexprs is null
 order by i.indisprimary desc, i.indexrelid
