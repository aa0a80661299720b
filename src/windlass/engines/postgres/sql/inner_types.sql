-- What is inside of the values of each type: the elements of arrays, the fields of composites.
select t.oid::bigint                                    as oid,
       format_type(t.oid, null)                         as name,
       t.typtype                                        as kind,
       coalesce((select e.oid
                   from pg_type e
                  where e.oid = t.typelem
                    and e.typarray = t.oid), 0)::bigint as element,
       coalesce((select e.typdelim
                   from pg_type e
                  where e.oid = t.typelem), ',')        as delimiter,
       t.typbasetype::bigint                            as base,
       t.typtypmod                                      as modifier,
       t.typndims                                       as dimensions,
       f.names                                          as field_names,
       f.types                                          as field_types,
       f.modifiers                                      as field_modifiers,
       f.dimensions                                     as field_dimensions,
       f.written                                        as field_written
  from pg_type t
 cross join lateral (
       select coalesce(array_agg(a.attname::text order by a.attnum), '{}')    as names,
              coalesce(array_agg(a.atttypid::bigint order by a.attnum), '{}') as types,
              coalesce(array_agg(a.atttypmod order by a.attnum), '{}')        as modifiers,
              coalesce(array_agg(a.attndims::int order by a.attnum), '{}')    as dimensions,
              coalesce(array_agg(format_type(a.atttypid, a.atttypmod)
                                 order by a.attnum), '{}')                    as written
         from pg_attribute a
        where a.attrelid = t.typrelid and t.typtype = 'c'
          and a.attnum > 0 and not a.attisdropped
       ) f
