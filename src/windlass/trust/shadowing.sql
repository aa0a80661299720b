-- Functions and operators of other roles that could be called instead of PostgreSQL's own of that
-- name.
with trusted as (
    select oid from pg_catalog.pg_roles where rolsuper or rolname = current_user
    union all
    select c.relowner
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = %(schema)s::name and c.relname = %(table)s::name
), path as (
    select oid from pg_catalog.pg_namespace
     where nspname in (%(schema)s::name, 'public'::name)
)
select 'function '::text || p.oid::pg_catalog.regprocedure::text as object,
       pg_catalog.pg_get_userbyid(p.proowner)::text as role
  from pg_catalog.pg_proc p
 where p.pronamespace in (select oid from path)
   and p.proowner not in (select oid from trusted)
   and exists (select from pg_catalog.pg_proc own
                where own.proname = p.proname
                  and own.pronamespace = 'pg_catalog'::pg_catalog.regnamespace::oid)
union all
select 'operator '::text || o.oid::pg_catalog.regoperator::text,
       pg_catalog.pg_get_userbyid(o.oprowner)::text
  from pg_catalog.pg_operator o
 where o.oprnamespace in (select oid from path)
   and o.oprowner not in (select oid from trusted)
   and exists (select from pg_catalog.pg_operator own
                where own.oprname = o.oprname
                  and own.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace::oid)
 order by 1
