-- Of every table: how the stream of changes can name a row of it, and who may publish it.
select n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind::text                                  as kind,
       c.relpersistence::text                           as persistence,
       c.relispartition                                 as is_partition,
       c.relreplident::text                             as identity,
       pg_has_role(c.relowner, 'usage')                 as owned,
       pg_get_userbyid(c.relowner)                      as owner,
       exists (select from pg_index i
                where i.indrelid = c.oid and i.indisprimary
                  and i.indisvalid and i.indimmediate)  as has_key,
       (select x.relname
          from pg_index i
          join pg_class x on x.oid = i.indexrelid
         where i.indrelid = c.oid and i.indisreplident) as identity_index,
       -- one that REPLICA IDENTITY USING INDEX would take
       (select x.relname
          from pg_index i
          join pg_class x on x.oid = i.indexrelid
         where i.indrelid = c.oid
           and i.indisunique and i.indimmediate and i.indisvalid
           and i.indpred is null and i.indexprs is null
           and not exists (select from unnest(i.indkey::int2[]) with ordinality as k(number, place)
                             join pg_attribute a
                               on a.attrelid = c.oid and a.attnum = k.number
                            where k.place <= i.indnkeyatts and not a.attnotnull)
         order by i.indnkeyatts, x.relname
         limit 1)                                       as unique_index,
       exists (select from pg_attribute a
                where a.attrelid = c.oid and a.attgenerated = 's'
                  and not a.attisdropped)               as has_generated,
       case when c.relkind = 'r' then pg_table_size(c.oid) else 0 end as size_bytes
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
   and c.relpersistence <> 't'
   and has_table_privilege(c.oid, 'select') is not null  -- it was dropped since the snapshot was taken
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
 order by n.nspname, c.relname
