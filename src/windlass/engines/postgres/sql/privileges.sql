-- Who has been granted what on which object, a line for each privilege, as GRANT names them; and
-- what each of these objects would have without any grant. Objects with the OIDs $1 have a line without a
-- privilege where nothing is granted on them.
with object as (
select n.oid, format('schema %I', n.nspname) as name, n.nspowner as owner, n.nspacl as acl,
       'n'::"char" as letter
  from pg_namespace n
union all
select c.oid, case c.relkind when 'S' then 'sequence' else 'table' end
       || format(' %I.%I', n.nspname, c.relname),
       c.relowner, c.relacl, case c.relkind when 'S' then 's' else 'r' end::"char"
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all
select p.oid, 'routine ' || p.oid::regprocedure, p.proowner, p.proacl, 'f' from pg_proc p
union all
select t.oid, format('type %I.%I', n.nspname, t.typname), t.typowner, t.typacl, 'T'
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
union all
select l.oid, format('language %I', l.lanname), l.lanowner, l.lanacl, 'l' from pg_language l
union all
select f.oid, format('foreign data wrapper %I', f.fdwname), f.fdwowner, f.fdwacl, 'F'
  from pg_foreign_data_wrapper f
union all
select s.oid, format('foreign server %I', s.srvname), s.srvowner, s.srvacl, 'S' from pg_foreign_server s
), granted as (
select o.oid, o.name, '' as part, a.grantee, a.privilege_type, a.is_grantable, false as is_usual
  from object o
  left join lateral aclexplode(o.acl) a on true
 where a.grantee is not null or o.oid = any($1::oid[])
union all
select o.oid, o.name, '', a.grantee, a.privilege_type, a.is_grantable, true
  from object o
 cross join lateral aclexplode(acldefault(o.letter, o.owner)) a
 where o.acl is not null
union all
select c.oid, format('table %I.%I', n.nspname, c.relname), format(' (%I)', t.attname), a.grantee,
       a.privilege_type, a.is_grantable, false
  from pg_attribute t
  join pg_class c on c.oid = t.attrelid
  join pg_namespace n on n.oid = c.relnamespace
 cross join lateral aclexplode(t.attacl) a
)
select oid,
       name,
       privilege_type || part                           as privilege,
       case grantee when 0 then '' else pg_get_userbyid(grantee)::text end as grantee,
       is_grantable                                     as grantable,
       is_usual
  from granted
