-- What a crash of the server empties: unlogged relations, and sequences since version 15.
-- `guarded`: rows cannot be loaded again without side effects, even with origin triggers disabled.
select n.nspname                                        as schema,
       c.relname                                        as name,
       c.relhastriggers                                 as has_triggers,
       c.relrowsecurity and c.relforcerowsecurity
         or exists (select from pg_trigger t
                     where t.tgrelid = c.oid and t.tgenabled in ('A', 'R')) as guarded
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'S')
   and c.relpersistence = 'u'
   and n.nspname <> 'windlass'
