-- What default privileges granted or revoked on objects, and the statements that undo it, so that
-- each has the privileges it would have without them.
with object as (
select 'pg_class'::regclass::oid as class, c.oid, c.relowner as owner, c.relacl as acl,
       case c.relkind when 'S' then 's' else 'r' end::"char" as letter,
       case c.relkind when 'S' then 'sequence' else 'table' end
       || format(' %I.%I', n.nspname, c.relname) as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all
select 'pg_proc'::regclass::oid, p.oid, p.proowner, p.proacl, 'f', 'routine ' || p.oid::regprocedure
  from pg_proc p
 where p.prokind <> 'a'
union all
select 'pg_type'::regclass::oid, t.oid, t.typowner, t.typacl, 'T', format('type %I.%I', n.nspname, t.typname)
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
union all
select 'pg_namespace'::regclass::oid, n.oid, n.nspowner, n.nspacl, 'n', format('schema %I', n.nspname)
  from pg_namespace n
), granted as (
select o.class, o.oid, o.name, a.grantee, a.privilege_type, a.is_grantable,
       (a.grantee, a.privilege_type, a.is_grantable) in (
           select b.grantee, b.privilege_type, b.is_grantable
             from aclexplode(acldefault(o.letter, o.owner)) b) as is_usual
  from object o
 cross join lateral aclexplode(o.acl) a
 where o.oid >= 16384 and a.grantee <> o.owner
), usual as (
select o.class, o.oid, o.name, b.grantee, b.privilege_type, o.acl
  from object o
 cross join lateral aclexplode(acldefault(o.letter, o.owner)) b
 where o.oid >= 16384 and o.acl is not null
)
select class::bigint, oid::bigint, 1 as place,
       format('revoke all on %s from %s', name,
              case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end) as statement
  from granted
 where not is_usual
union
select class, oid, 2,
       format('grant %s on %s to %s', privilege_type, name,
              case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end)
  from usual u
 where u.grantee = 0
    or not exists (select from aclexplode(u.acl) a
                    where a.grantee = u.grantee and a.privilege_type = u.privilege_type)
 order by 3, 1, 2, 4
