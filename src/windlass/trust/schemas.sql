-- Schemas whose owners could replace objects that others create in them.
select n.nspname::text as schema, pg_catalog.pg_get_userbyid(n.nspowner)::text as owner
  from pg_catalog.pg_namespace n
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
 where n.nspname::text = any (%(schemas)s::text[])
   and n.nspowner <> d.datdba
   and pg_catalog.pg_get_userbyid(n.nspowner)::text <> all (%(owners)s::text[])
   and n.nspowner not in (select oid from pg_catalog.pg_roles
                           where rolsuper or rolname in (current_user, 'pg_database_owner'::name))
 order by 1
