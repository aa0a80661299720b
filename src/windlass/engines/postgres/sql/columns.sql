-- Columns of the relations that can hold rows; types are judged in windlass.engines.postgres.types.
select a.attrelid::bigint                               as relation,
       a.attname                                        as name,
       format_type(a.atttypid, a.atttypmod)             as type,
       a.atttypid::bigint                               as type_oid,
       -- since 18 a NOT NULL can be NOT VALID, with NULLs there
       a.attnotnull and not exists (
         select from pg_constraint o
          where o.conrelid = a.attrelid and o.contype = 'n' and not o.convalidated
            and o.conkey = array[a.attnum])             as not_null,
       a.attgenerated <> ''                             as generated,
       a.attidentity                                    as identity,
       a.atthasdef                                      as has_default,
       case when a.attgenerated = '' then coalesce(pg_get_expr(d.adbin, d.adrelid), '')
            else '' end                                 as default
  from pg_attribute a
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
   and a.attnum > 0
   and not a.attisdropped
 order by a.attrelid, a.attnum
