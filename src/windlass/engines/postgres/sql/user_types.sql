-- Types that are not built in, whose ids differ between servers.
select t.oid::bigint                                    as oid,
       n.nspname::text                                  as schema,
       t.typname::text                                  as name
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
 where t.oid >= 10000
