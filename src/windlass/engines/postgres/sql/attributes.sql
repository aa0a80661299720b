-- attributes Attributes that pg_dump does not write although users rely on them, under pg_dump's
-- word for the kind. Attributes with the value of a new object are left out.
with space as (
select oid, nspname::text as name, nspowner as owner
  from pg_namespace
 where nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and nspname !~ '^pg_(temp|toast_temp)_|^windlass_\d{8}_\d{4}_[0-9a-f]{4}_'
)
select 'SCHEMA' as kind, '' as schema, s.name, 'owner' as attribute, r.rolname::text as value,
       r.rolname::text as role
  from space s
  join pg_roles r on r.oid = s.owner
 -- the owner that initdb gives it, which changed in version 15
 where s.name <> 'public' or r.oid <> 10 and r.rolname <> 'pg_database_owner'
union all
-- the triggers of foreign keys and deferrable keys: DISABLE TRIGGER ALL disables them as well
select 'TABLE', s.name, c.relname::text,
       format(case k.contype when 'f' then 'foreign key %I' else 'constraint %I' end, k.conname),
       string_agg(distinct case t.tgenabled when 'O' then 'enforced' when 'D' then 'not enforced'
                                            when 'R' then 'enforced for replicas only'
                                            else 'enforced for replicas as well' end, ', '),
       ''
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join space s on s.oid = c.relnamespace
  join pg_constraint k on k.oid = t.tgconstraint and k.contype in ('f', 'p', 'u', 'x')
 where t.tgisinternal
 group by s.name, c.relname, k.contype, k.conname
having bool_or(t.tgenabled <> 'O')
union all
select 'MATERIALIZED VIEW', s.name, c.relname::text, 'content', 'none, as it is not populated', ''
  from pg_class c
  join space s on s.oid = c.relnamespace
 where c.relkind = 'm' and not c.relispopulated
