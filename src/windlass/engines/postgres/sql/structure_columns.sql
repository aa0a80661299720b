-- Columns of tables and views, with what is below a domain, the labels of an enum, and the sequence
-- that a column owns. A column has the NOT NULL and the default of its domain, if it has none itself.
with recursive below (top, oid, typmod, depth) as (
  select t.oid, t.oid, -1, 0 from pg_type t where t.typtype = 'd'
   union all
  select b.top, t.typbasetype, case when t.typtypmod >= 0 then t.typtypmod else b.typmod end,
         b.depth + 1
    from below b join pg_type t on t.oid = b.oid where t.typtype = 'd'
), base (top, oid, typmod) as (
  select b.top, b.oid, b.typmod from below b join pg_type t on t.oid = b.oid where t.typtype <> 'd'
)
select a.attrelid::bigint                               as relation,
       a.attname                                        as name,
       format_type(a.atttypid, a.atttypmod)             as type,
       case when n.nspname = 'pg_catalog' then t.typname
            else n.nspname || '.' || t.typname end      as base,
       t.typtype::text                                  as kind,
       t.typelem <> 0 and t.typlen = -1 and t.typcategory = 'A' as is_array,
       coalesce((select string_agg(pg_get_constraintdef(o.oid), ' ' order by o.conname)
                   from pg_constraint o
                  where o.contype = 'c'
                    and (o.contypid = a.atttypid
                         or o.contypid in (select w.oid from below w where w.top = a.atttypid))),
                '')                                     as checks,
       case when b.oid is null then a.atttypmod else b.typmod end as modifier,
       coalesce((select array_agg(e.enumlabel::text order by e.enumsortorder)
                   from pg_enum e where e.enumtypid = t.oid), '{}') as labels,
       a.attnotnull and not exists (
         select from pg_constraint o
          where o.conrelid = a.attrelid and o.contype = 'n' and not o.convalidated
            and o.conkey = array[a.attnum])
       or c.relkind in ('r', 'p') and exists (
         select from below w join pg_type y on y.oid = w.oid
          where w.top = a.atttypid and y.typnotnull)    as not_null,
       a.attidentity::text                              as identity,
       a.attgenerated::text                             as generation,
       coalesce(pg_get_expr(d.adbin, d.adrelid),
                (select pg_get_expr(y.typdefaultbin, 'pg_type'::regclass)
                   from below w join pg_type y on y.oid = w.oid
                  where w.top = a.atttypid and y.typdefaultbin is not null
                    and c.relkind in ('r', 'p')
                  order by w.depth limit 1),
                '')                                     as expression,
       coalesce(l.collname, '')                         as collation,
       coalesce(l.collisdeterministic, true)            as is_deterministic,
       coalesce(col_description(a.attrelid, a.attnum), '') as comment,
       coalesce(s.nspname, '')                          as sequence_schema,
       coalesce(s.relname, '')                          as sequence_name,
       coalesce(s.seqincrement, 0)                      as increment
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace m on m.oid = c.relnamespace
  left join base b on b.top = a.atttypid
  join pg_type t on t.oid = coalesce(b.oid, a.atttypid)
  join pg_namespace n on n.oid = t.typnamespace
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_collation l on l.oid = a.attcollation and l.collname <> 'default'
  left join lateral (
    select x.nspname, q.relname, g.seqincrement
      from pg_depend e
      join pg_class q on q.oid = e.objid and q.relkind = 'S'
      join pg_namespace x on x.oid = q.relnamespace
      join pg_sequence g on g.seqrelid = q.oid
     where e.classid = 'pg_class'::regclass and e.refclassid = 'pg_class'::regclass
       and e.refobjid = a.attrelid and e.refobjsubid = a.attnum and e.deptype in ('a', 'i')
     order by e.deptype desc limit 1) as s on true
 where c.relkind in ('r', 'p', 'v', 'm')
   and not c.relispartition
   and c.relpersistence <> 't'
   and m.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and m.nspname !~ '^pg_(temp|toast_temp)_'
   and a.attnum > 0
   and not a.attisdropped
 order by a.attrelid, a.attnum
