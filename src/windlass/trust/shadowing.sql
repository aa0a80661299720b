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
    select 'function'::text as kind, oid, proname as name, pronamespace as space, proowner as owner
      from pg_catalog.pg_proc
    union all
    select 'operator'::text, oid, oprname, oprnamespace, oprowner
      from pg_catalog.pg_operator
), found as (
    select c.kind, c.oid, c.owner, hidden.oid as hidden, hidden.space in (select oid from own) as own
      from called c
      join called hidden on hidden.kind = c.kind and hidden.name = c.name
     where c.space in (select oid from path) and c.owner not in (select oid from trusted)
       and (hidden.space in (select oid from own)
            or (hidden.space in (select oid from path)
                and hidden.owner in (select oid from trusted)))
), named as (
    select kind, owner, own,
           case kind when 'function'::text then oid::pg_catalog.regprocedure::text
                     else oid::pg_catalog.regoperator::text end as object,
           case kind when 'function'::text then hidden::pg_catalog.regprocedure::text
                     else hidden::pg_catalog.regoperator::text end as hidden
      from found
)
select kind || ' '::text || object as object,
       pg_catalog.pg_get_userbyid(owner)::text as role,
       pg_catalog.min(case when own then ''::text else hidden end) as whose
  from named
 group by kind, object, owner
 order by 1
