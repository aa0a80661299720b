-- Types that are not built in, whose ids differ between servers. A domain goes by the name of its
-- base type, as in a stream of changes.
with recursive base (type, base, next) as (
select oid, oid, typbasetype from pg_type
 where oid >= 10000
union all
select b.type, t.oid, t.typbasetype from base b join pg_type t on t.oid = b.next
)
select b.type::bigint                                   as oid,
       n.nspname::text                                  as schema,
       t.typname::text                                  as name
  from base b
  join pg_type t on t.oid = b.base
  join pg_namespace n on n.oid = t.typnamespace
 where b.next = 0
