-- Whether a table has a unique index without NULLs whose columns are all among these.
select exists (
    select from pg_index i
     where i.indrelid = %(oid)s::oid and i.indisunique and i.indisvalid
       and i.indpred is null and i.indexprs is null and i.indnkeyatts = i.indnatts
       and not exists (
           select from pg_attribute a
            where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
              and not (a.attnotnull and a.attname::text = any(%(columns)s::text[]))
       )
) as has_key
