-- Every foreign key: referring relation, columns, referenced relation. Once for a partitioned
-- relation.
select k.conname::text as key,
       n.nspname::text as schema, c.relname::text as name,
       array(select a.attname::text
               from unnest(k.conkey) with ordinality used (number, place)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = used.number
              order by used.place) as columns,
       tn.nspname::text as to_schema, t.relname::text as to_name,
       array(select a.attname::text
               from unnest(k.confkey) with ordinality used (number, place)
               join pg_attribute a on a.attrelid = k.confrelid and a.attnum = used.number
              order by used.place) as to_columns,
       array(select format('operator(%I.%s)', o.oprnamespace::regnamespace::text, o.oprname)
               from unnest(k.conpfeqop) with ordinality used (operator, place)
               join pg_operator o on o.oid = used.operator
              order by used.place) as operators,
       k.convalidated as is_valid
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class t on t.oid = k.confrelid
  join pg_namespace tn on tn.oid = t.relnamespace
 where k.contype = 'f' and k.conparentid = 0
   -- periods are not compared by equality
   and coalesce(to_jsonb(k) ->> 'conperiod', 'false') = 'false'
 order by 2, 3, 1
