-- Foreign keys that set columns of other rows to NULL or their default when some columns change.
with recursive tree as (
    select %(oid)s::oid as oid
    union all
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select distinct format('%%s of %%s.%%s', f.conname, n.nspname, r.relname) as name
  from tree
  join pg_constraint f on f.confrelid = tree.oid and f.contype = 'f' and f.conparentid = 0
  join pg_class r on r.oid = f.conrelid
  join pg_namespace n on n.oid = r.relnamespace
  join pg_attribute a on a.attrelid = f.confrelid and a.attnum = any(f.confkey)
 where f.confupdtype in ('n', 'd') and a.attname::text = any(%(columns)s::text[])
 order by 1
