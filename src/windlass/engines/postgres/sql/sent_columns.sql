-- The relation with the OID $1 as a stream would describe it: its columns in their order, with what
-- tells whether they are of the replica identity.
select a.attname::text                                         as name,
       a.atttypid::bigint                                      as type_id,
       a.atttypmod                                             as modifier,
       c.relreplident = 'f'
       or exists (select from pg_index i
                   where i.indrelid = c.oid and a.attnum = any (i.indkey)
                     and case c.relreplident when 'i' then i.indisreplident
                                             when 'd' then i.indisprimary else false end)
                                                               as is_key
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.oid = $1::oid and a.attgenerated = ''
 order by a.attnum;
