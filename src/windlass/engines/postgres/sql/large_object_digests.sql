-- A digest of each large object's bytes: of the digests of its slices of 1 MB, as lo_get gives at
-- most 1 GB at a time, and holds in memory what it gives.
select m.oid::bigint                                    as oid,
       (with recursive slice (at, digest, size) as (
          select 0::bigint, md5(d.bytes), length(d.bytes)
            from lo_get(m.oid, 0, 1048576) as d (bytes)
          union all
          select s.at + 1048576, md5(d.bytes), length(d.bytes)
            from slice s, lo_get(m.oid, s.at + 1048576, 1048576) as d (bytes)
           where s.size = 1048576)
        select md5(string_agg(digest, '' order by at))
          from slice)                                   as digest
  from pg_largeobject_metadata m
