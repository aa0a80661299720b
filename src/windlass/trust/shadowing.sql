-- Functions and operators of other roles that could be called instead of PostgreSQL's own of that
-- name, or instead of a trusted role's elsewhere in the path: `whose` is empty for PostgreSQL's.
with trusted as (
    select oid from pg_catalog.pg_roles where rolsuper or rolname = current_user
    union all
    select c.relowner
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = %(schema)s::name and c.relname = %(table)s::name
), path as (
    select oid from pg_catalog.pg_namespace where nspname = any (%(path)s::name[])
), own as (
    select 'pg_catalog'::pg_catalog.regnamespace::oid as oid
), called as (
    select 'function'::text as kind, oid::pg_catalog.regprocedure::text as object,
           proname as name, pronamespace as space, proowner as owner
      from pg_catalog.pg_proc
    union all
    select 'operator'::text, oid::pg_catalog.regoperator::text, oprname, oprnamespace, oprowner
      from pg_catalog.pg_operator
), hidden as (
    select kind, name, case when space in (select oid from own) then ''::text else object end as whose
      from called
     where space in (select oid from own)
        or (space in (select oid from path) and owner in (select oid from trusted))
)
select c.kind || ' '::text || c.object as object,
       pg_catalog.pg_get_userbyid(c.owner)::text as role,
       pg_catalog.min(hidden.whose) as whose
  from called c
  join hidden on hidden.kind = c.kind and hidden.name = c.name
 where c.space in (select oid from path) and c.owner not in (select oid from trusted)
 group by c.kind, c.object, c.owner
 order by 1
