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
       array(select a.attname::text
               from pg_attribute a
              where a.attrelid = t.typrelid and t.typtype = 'c'
                and a.attnum > 0 and not a.attisdropped
              order by a.attnum)                        as field_names,
       array(select a.atttypid::bigint
               from pg_attribute a
              where a.attrelid = t.typrelid and t.typtype = 'c'
                and a.attnum > 0 and not a.attisdropped
              order by a.attnum)                        as field_types,
       array(select a.atttypmod
               from pg_attribute a
              where a.attrelid = t.typrelid and t.typtype = 'c'
                and a.attnum > 0 and not a.attisdropped
              order by a.attnum)                        as field_modifiers,
       array(select a.attndims::int
               from pg_attribute a
              where a.attrelid = t.typrelid and t.typtype = 'c'
                and a.attnum > 0 and not a.attisdropped
              order by a.attnum)                        as field_dimensions,
       array(select format_type(a.atttypid, a.atttypmod)
               from pg_attribute a
              where a.attrelid = t.typrelid and t.typtype = 'c'
                and a.attnum > 0 and not a.attisdropped
              order by a.attnum)                        as field_written
  from pg_type t
