-- Every type a column can have, with what decides how its values travel and are hashed.
select t.oid::bigint                                    as oid,
       format_type(t.oid, null)                         as name,
       t.typtype                                        as kind,
       t.oid < 16384 and n.nspname = 'pg_catalog'       as builtin,
       t.typelem::bigint                                as element,
       t.typlen = -1 and t.typelem <> 0
         and t.typcategory = 'A'                        as is_array,
       coalesce(r.rngsubtype, 0)::bigint                as subtype,
       t.typbasetype::bigint                            as base,
       t.typtypmod                                      as modifier,
       t.typsend <> 0 and t.typreceive <> 0             as has_binary,
       exists (select from pg_opclass o
                 join pg_am m on m.oid = o.opcmethod and m.amname = 'hash'
                where o.opcintype = t.oid and o.opcdefault) as has_hash
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  left join pg_range r on r.rngtypid = t.oid
