-- What a database holds apart from its rows, one fact a line: equal on both sides after a copy.

select 'relation ' || oid::regclass as fact,
       concat(relkind, relpersistence) as value
  from pg_class
 where relkind in ('r', 'p', 'S', 'v', 'm')
   and relnamespace = 'public'::regnamespace
 union all
select 'index ' || indexrelid::regclass,
       case when indisvalid then '' else 'invalid: ' end || pg_get_indexdef(indexrelid)
  from pg_index
  join pg_class on pg_class.oid = indexrelid
 where relnamespace = 'public'::regnamespace
 union all
select 'constraint ' || conname || ' of ' || conrelid::regclass,
       pg_get_constraintdef(oid)
  from pg_constraint
 where connamespace = 'public'::regnamespace
 union all
select 'sequence ' || sequencename,
       coalesce(last_value::text, 'not called')
  from pg_sequences
 where schemaname = 'public'
 union all
select 'statistics of ' || tablename,
       count(*) || ' columns'
  from pg_stats
 where schemaname = 'public'
 group by tablename
