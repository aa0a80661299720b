-- Columns of the relations that changes are applied to, and what a change must know of each.
-- A domain goes by the name of its base type, as in a stream of changes.
with recursive base(type, base, next) as (
select oid, oid, typbasetype from pg_type where typtype = 'd'
union all
select b.type, t.oid, t.typbasetype from base b join pg_type t on t.oid = b.next
)
select c.oid::bigint                                    as relation,
       n.nspname::text                                  as schema,
       c.relname::text                                  as name,
       c.relkind::text                                  as kind,
       a.attname::text                                  as "column",
       a.atttypid::bigint                               as type_id,
       a.atttypmod                                      as modifier,
       tn.nspname::text                                 as type_schema,
       t.typname::text                                  as type_name,
       format_type(a.atttypid, a.atttypmod)             as type,
       a.attgenerated <> ''                             as is_generated,
       a.attidentity = 'a'                              as is_always_identity,
       coalesce(l.collisdeterministic, true)            as is_deterministic
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join base b on b.type = a.atttypid and b.next = 0
  left join pg_type t on t.oid = coalesce(b.base, a.atttypid)
  left join pg_namespace tn on tn.oid = t.typnamespace
  left join pg_collation l on l.oid = a.attcollation
 where c.relkind in ('r', 'p')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
 order by c.oid, a.attnum;
