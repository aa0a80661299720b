-- Foreign keys that set columns of other rows to NULL or their default when some columns change:
-- those of the table and its partitions, and of what a change cascades to.
with recursive keys as (
    select f.conname, f.conrelid, f.confrelid, f.confupdtype, f.conparentid,
           array(select a.attname::text collate "default" from pg_attribute a
                  where a.attrelid = f.confrelid and a.attnum = any(f.confkey)) as referred,
           array(select a.attname::text collate "default" from pg_attribute a
                  where a.attrelid = f.conrelid and a.attnum = any(f.conkey)) as referring
      from pg_constraint f
     where f.contype = 'f'
), changed as (
    select %(oid)s::oid as oid, %(columns)s::text[] as columns
    union
    select n.oid, n.columns
      from changed c
     cross join lateral (
            select i.inhrelid, c.columns from pg_inherits i where i.inhparent = c.oid
            union all
            select f.conrelid, f.referring from keys f
             where f.confrelid = c.oid and f.confupdtype = 'c' and f.referred && c.columns
           ) n (oid, columns)
)
select distinct format('%%s of %%s.%%s', f.conname, n.nspname, r.relname) as name
  from changed c
  join keys f on f.confrelid = c.oid and f.referred && c.columns
  join pg_class r on r.oid = f.conrelid
  join pg_namespace n on n.oid = r.relnamespace
 where f.confupdtype in ('n', 'd')
   and not exists (select from pg_constraint p  -- of the whole table, which is named itself
                     join changed a on a.oid = p.confrelid
                    where p.oid = f.conparentid)
 order by 1
