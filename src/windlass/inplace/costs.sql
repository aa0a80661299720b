-- The size of a table with its partitions, and how many indexes a partition has.
with recursive tree as (
    select %(oid)s::oid as oid
    union all
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select coalesce(sum(pg_table_size(c.oid)), 0)::bigint as size_bytes,
       coalesce(sum(pg_relation_size(c.oid)), 0)::bigint
           / current_setting('block_size')::bigint as pages,
       max((select count(*) from pg_index x where x.indrelid = c.oid))::int as indexes
  from tree
  join pg_class c on c.oid = tree.oid
