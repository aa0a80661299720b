-- Whether some columns, by their names, are in a unique index of a table or its partitions.
with recursive tree as (
    select %(oid)s::oid as oid
    union all
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select exists (
    select from tree
      join pg_index i on i.indrelid = tree.oid and i.indisunique
      join pg_attribute a on a.attrelid = tree.oid and a.attnum = any(i.indkey)
     where a.attname::text = any(%(columns)s::text[])
) as takes_key
