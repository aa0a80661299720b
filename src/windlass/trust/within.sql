-- The types that a type `t` is made of: those of elements, domains, ranges and fields; 0 is none.
select t.typelem
 union all
select t.typbasetype
 union all
select r.rngsubtype from pg_range r where r.rngtypid = t.oid
 union all
select a.atttypid from pg_attribute a
 where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
