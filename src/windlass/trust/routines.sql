-- Functions and operators outside PostgreSQL's own schemas: their argument types and owners.
-- Superusers, the session's role, and the owners of database and schema are trusted.
with space as (
    select oid, nspname, nspowner
      from pg_catalog.pg_namespace
     where nspname::text !~ '^(pg_|information_schema$|windlass$|windlass_[0-9]{8}_)'::text
), found as (
    select p.pronamespace as namespace, p.proname::text as name,
           pg_catalog.oidvectortypes(p.proargtypes) as takes,
           case p.prokind when 'a' then 'aggregate'::text when 'p' then 'procedure'
             else 'function' end as kind,
           p.oid::pg_catalog.regprocedure::text as signature,
           p.proowner as owner
      from pg_catalog.pg_proc p
     where p.pronamespace in (select oid from space)
    union all
    select o.oprnamespace, o.oprname::text,
           pg_catalog.concat(pg_catalog.format_type(o.oprleft, null), ', '::text,
             pg_catalog.format_type(o.oprright, null)),
           'operator',
           o.oid::pg_catalog.regoperator::text,
           o.oprowner
      from pg_catalog.pg_operator o
     where o.oprnamespace in (select oid from space)
)
select n.nspname::text as schema, f.name, f.takes, f.kind, f.signature, r.rolname::text as owner,
       r.rolsuper or r.rolname = current_user or f.owner in (n.nspowner, d.datdba) as trusted
  from found f
  join space n on n.oid = f.namespace
  join pg_catalog.pg_roles r on r.oid = f.owner
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
 order by 1, 5
