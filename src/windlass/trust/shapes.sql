-- What of a relation's definition decides how its rows are applied: columns, constraints, the types
-- of the user that its columns need. `{relations}` is an array of oids; the other braces
-- take the query of within.sql.
with recursive asked (oid) as (
select unnest({relations}::oid[])
), used (relation, type) as (
select a.attrelid, a.atttypid
  from asked
  join pg_attribute a on a.attrelid = asked.oid and a.attnum > 0 and not a.attisdropped
union
select used.relation, within.type
  from used
  join pg_type t on t.oid = used.type
 cross join lateral ({within}) as within (type)
 where within.type <> 0
)
select jsonb_build_object(
         'oid', c.oid::bigint,
         'schema', n.nspname,
         'name', c.relname,
         'parent', (select jsonb_build_array(pn.nspname, p.relname)
                      from pg_inherits i
                      join pg_class p on p.oid = i.inhparent
                      join pg_namespace pn on pn.oid = p.relnamespace
                     where i.inhrelid = c.oid and c.relispartition),
         'columns', coalesce(
           (select jsonb_object_agg(a.attname, jsonb_build_object(
                     'type', jsonb_build_array(tn.nspname, t.typname, a.atttypmod),
                     'not_null', a.attnotnull,
                     'default', a.atthasdef and a.attgenerated = '',
                     'generated', a.attgenerated <> '',
                     'identity', a.attidentity))
              from pg_attribute a
              join pg_type t on t.oid = a.atttypid
              join pg_namespace tn on tn.oid = t.typnamespace
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '{}'),
         'constraints', coalesce(
           (select jsonb_object_agg(x.conname, jsonb_build_object(
                     'kind', x.contype,
                     'columns', (select coalesce(jsonb_agg(a.attname order by a.attname), '[]')
                                   from pg_attribute a
                                  where a.attrelid = x.conrelid and a.attnum = any (x.conkey)),
                     'refers', (select jsonb_build_array(fn.nspname, f.relname)
                                  from pg_class f
                                  join pg_namespace fn on fn.oid = f.relnamespace
                                 where f.oid = x.confrelid)))
              from pg_constraint x
             where x.conrelid = c.oid and x.contype in ('p', 'u', 'f', 'c', 'x')
               and x.conparentid = 0 and x.conislocal), '{}'),
         'types', coalesce(
           (select jsonb_agg(jsonb_build_object(
                     'schema', tn.nspname,
                     'name', t.typname,
                     'kind', t.typtype,
                     'parts', case t.typtype
                       when 'e' then (select jsonb_agg(e.enumlabel order by e.enumsortorder)
                                        from pg_enum e where e.enumtypid = t.oid)
                       when 'd' then jsonb_build_array(format_type(t.typbasetype, t.typtypmod))
                         || case when t.typnotnull then '["NOT NULL"]' else '[]' end::jsonb
                         || coalesce((select jsonb_agg(x.conname order by x.conname)
                                        from pg_constraint x
                                       where x.contypid = t.oid and x.contype = 'c'), '[]')
                       when 'c' then (select jsonb_agg(
                                        jsonb_build_array(a.attname, at.typname, a.atttypmod)
                                        order by a.attname)
                                        from pg_attribute a
                                        join pg_type at on at.oid = a.atttypid
                                       where a.attrelid = t.typrelid and a.attnum > 0
                                         and not a.attisdropped)
                       else '[]' end) order by tn.nspname, t.typname)
              from used
              join pg_type t on t.oid = used.type and t.typtype in ('e', 'd', 'c')
              join pg_namespace tn on tn.oid = t.typnamespace
             where used.relation = c.oid
               and tn.nspname not in ('pg_catalog', 'information_schema')), '[]')
       ) as shape
  from asked
  join pg_class c on c.oid = asked.oid
  join pg_namespace n on n.oid = c.relnamespace
