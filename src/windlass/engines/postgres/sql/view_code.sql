-- Functions, operators, domains and ranges that the query of a materialised view would run,
-- directly or through views, and that belong to a role other than a superuser or the session's.
with recursive reached (view, classid, objid) as (
    select c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass::oid, c.oid
      from pg_catalog.pg_class c
     where c.relkind = 'm'
    union
    select r.view, d.refclassid, d.refobjid
      from reached r
      join pg_catalog.pg_rewrite w
        on r.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       and w.ev_class = r.objid and w.ev_type = '1'
      join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = w.oid
), code (view, classid, objid, owner) as (
    select r.view, r.classid, r.objid, p.proowner
      from reached r join pg_catalog.pg_proc p on p.oid = r.objid
     where r.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    union all
    select r.view, r.classid, r.objid, o.oprowner
      from reached r join pg_catalog.pg_operator o on o.oid = r.objid
     where r.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
    union all
    select r.view, r.classid, r.objid, t.typowner
      from reached r join pg_catalog.pg_type t on t.oid = r.objid
     where r.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.typtype in ('d', 'r', 'm')
)
select n.nspname::text as schema,
       v.relname::text as name,
       pg_catalog.pg_describe_object(c.classid, c.objid, 0) as object,
       o.rolname::text as role
  from code c
  join pg_catalog.pg_class v on v.oid = c.view
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace
  join pg_catalog.pg_roles o on o.oid = c.owner
 where not o.rolsuper and o.rolname <> current_user
 order by 1, 2, 3
