-- How many large objects there are, and between which ids.
select count(*)                                         as count,
       coalesce(min(oid), 0)::bigint                    as lowest,
       coalesce(max(oid), 0)::bigint                    as highest
  from pg_largeobject_metadata
