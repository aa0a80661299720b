-- Every type a column can have, with the facts that decide how its values are copied and hashed.
select t.oid::bigint                                    as oid,
       format_type(t.oid, null)                         as name,
       t.typtype                                        as kind,
       t.oid < 16384 and n.nspname = 'pg_catalog'       as builtin,
       case when t.typlen = -1 and t.typcategory = 'A'
            then t.typelem else 0 end::bigint           as element,
       coalesce(r.rngsubtype, 0)::bigint                as subtype,
       t.typbasetype::bigint                            as base,
       t.typtypmod                                      as modifier,
       t.typname                                        as bare,
       case when t.typbasetype <> 0
            then format_type(t.typbasetype, t.typtypmod)
            else '' end                                 as written_base,
       array(select e.enumlabel::text
               from pg_enum e
              where e.enumtypid = t.oid
              order by e.enumlabel collate "C")         as labels,
       f.types                                          as fields,
       f.written                                        as written_fields,
       t.typsend <> 0 and t.typreceive <> 0             as has_binary,
       exists (select from pg_opclass o
                 join pg_am m on m.oid = o.opcmethod and m.amname = 'hash'
                where o.opcintype = t.oid and o.opcdefault) as has_hash
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  left join pg_range r on r.rngtypid = t.oid
 cross join lateral (
       select coalesce(array_agg(a.atttypid::bigint order by a.attnum), '{}') as types,
              coalesce(array_agg(format_type(a.atttypid, a.atttypmod)
                                 order by a.attnum), '{}')                    as written
         from pg_attribute a
        where a.attrelid = t.typrelid and t.typtype = 'c'
          and a.attnum > 0 and not a.attisdropped
       ) f
