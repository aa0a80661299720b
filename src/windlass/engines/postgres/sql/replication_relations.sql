-- Relations with rows: whether this user may publish them, and whether their changes are logged.
select n.nspname::text                                                     as schema,
       c.relname::text                                                     as name,
       pg_has_role(c.relowner, 'usage')                                    as is_owned,
       pg_get_userbyid(c.relowner)::text                                   as owner,
       c.relpersistence = 'u'                                              as is_unlogged
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r'
   and c.relpersistence in ('p', 'u')
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
 order by 1, 2
