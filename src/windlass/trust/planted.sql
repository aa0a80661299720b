-- What another role could have planted in our schema, or still could: one row for each.
with trusted as (
    select oid from pg_catalog.pg_roles where rolsuper or rolname = current_user
), owner as (
    select c.relowner as oid
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = %(owned_schema)s::name and c.relname = %(owned_table)s::name
), space as (
    select oid, nspname, nspowner, nspacl
      from pg_catalog.pg_namespace
     where nspname = %(schema)s::name
), anything as (
    select c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relpersistence, c.relrowsecurity,
           c.relforcerowsecurity, c.relispartition, s.nspowner, s.nspname,
           quote_ident(s.nspname::text) || '.'::text || quote_ident(c.relname::text) as object,
           c.relname::text ~ %(tables)s::text as ours,
           c.relname::text ~ %(plain)s::text as plain
      from pg_catalog.pg_class c
      join space s on s.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
), own as (
    select * from anything where ours
), code as (
    select oid, object,
           case relkind when 'v' then 'is a view'::text when 'm' then 'is a materialized view'::text
                        when 'f' then 'is a foreign table'::text
                        when 'p' then 'is a partitioned table'::text
                        else 'is a sequence'::text end as what
      from own where relkind <> 'r'
    union all
    select oid, object, 'is a partition'::text from own where relispartition
    union all
    select oid, object, 'has row security'::text from own
     where relrowsecurity or relforcerowsecurity
    union all
    select o.oid, o.object, 'has policy '::text || quote_ident(p.polname::text)
      from own o join pg_catalog.pg_policy p on p.polrelid = o.oid
    union all
    select o.oid, o.object, 'has trigger '::text || quote_ident(t.tgname::text)
      from own o join pg_catalog.pg_trigger t on t.tgrelid = o.oid
     where not t.tgisinternal
    union all
    select o.oid, o.object, 'has rule '::text || quote_ident(r.rulename::text)
      from own o join pg_catalog.pg_rewrite r on r.ev_class = o.oid
     where o.relkind = 'r'
    union all
    select o.oid, o.object, 'inherits or is inherited'::text
      from own o
     where exists (select from pg_catalog.pg_inherits i where o.oid in (i.inhrelid, i.inhparent))
    union all
    select o.oid, o.object, 'has constraint '::text || quote_ident(x.conname::text)
      from own o join pg_catalog.pg_constraint x on x.conrelid = o.oid
     where x.contype not in ('p', 'n')
       and not (x.contype = 'f' and exists (select from own other where other.oid = x.confrelid))
    union all
    select o.oid, o.object, 'is referred to by constraint '::text || quote_ident(x.conname::text)
           || ' of '::text || x.conrelid::pg_catalog.regclass::text
      from own o join pg_catalog.pg_constraint x on x.confrelid = o.oid
     where not exists (select from own other where other.oid = x.conrelid)
    union all
    select o.oid, o.object, 'has index '::text || quote_ident(x.relname::text)
      from own o
      join pg_catalog.pg_index i on i.indrelid = o.oid
      join pg_catalog.pg_class x on x.oid = i.indexrelid
     where i.indexprs is not null or i.indpred is not null
        or exists (select from pg_catalog.unnest(i.indclass::oid[]) used (class)
                     join pg_catalog.pg_opclass k on k.oid = used.class
                    where k.opcnamespace <> 'pg_catalog'::pg_catalog.regnamespace::oid)
    union all
    select o.oid, o.object, 'has column '::text || quote_ident(a.attname::text)
           || ' generated or with a default: '::text || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
      from own o
      join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0::int2
      join pg_catalog.pg_attrdef d on d.adrelid = o.oid and d.adnum = a.attnum
     where a.attgenerated <> ''
        or pg_catalog.pg_get_expr(d.adbin, d.adrelid) <> all (%(defaults)s::text[])
    union all
    select o.oid, o.object, 'has column '::text || quote_ident(a.attname::text)
           || ' of type '::text || pg_catalog.format_type(a.atttypid, a.atttypmod)
      from own o
      join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0::int2
      join pg_catalog.pg_type t on t.oid = a.atttypid
     where o.plain and not a.attisdropped
       and t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace::oid
    union all
    select p.oid, quote_ident(s.nspname::text) || '.'::text || quote_ident(p.proname::text),
           'is a function'::text
      from space s
      join pg_catalog.pg_proc p on p.pronamespace = s.oid
     where %(function)s::text <> ''
       and not (p.proname::text ~ %(function)s::text
                and p.prosrc = pg_catalog.replace(%(body)s::text, '{run}'::text,
                  pg_catalog.substring(p.proname::text, %(function)s::text))
                and p.prosecdef and p.pronargs = 0::int2
                and p.proconfig = array['search_path=pg_catalog, pg_temp']::text[])
)
select 'owner'::text as kind, 'schema '::text || quote_ident(nspname::text) as object,
       ''::text as detail, pg_catalog.pg_get_userbyid(nspowner)::text as role
  from space
 where nspowner not in (select oid from trusted union all select oid from owner)
   -- the database's owner is trusted in it
   and not (%(shared)s::bool and (nspowner in (select datdba from pg_catalog.pg_database
                                                where datname = pg_catalog.current_database())
                                  or nspowner::pg_catalog.regrole::text = 'pg_database_owner'))
union all
select 'owner'::text, object, ''::text, pg_catalog.pg_get_userbyid(relowner)::text
  from anything
 where relowner not in (select oid from trusted)
   and case when %(shared)s::bool then ours
            -- otherwise the schema's owner is named, once
            else relowner <> nspowner end
union all
select 'grant'::text, 'schema '::text || quote_ident(nspname::text), acl.privilege_type,
       case acl.grantee when 0::oid then ''::text
                        else pg_catalog.pg_get_userbyid(acl.grantee)::text end
  from space, pg_catalog.aclexplode(nspacl) acl
 where acl.privilege_type = 'CREATE' and not %(shared)s::bool
   and acl.grantee <> nspowner and acl.grantee not in (select oid from trusted)
union all
select 'grant'::text, object, acl.privilege_type,
       case acl.grantee when 0::oid then ''::text
                        else pg_catalog.pg_get_userbyid(acl.grantee)::text end
  from own, pg_catalog.aclexplode(relacl) acl
 where acl.privilege_type <> 'SELECT'
   and acl.grantee <> relowner and acl.grantee not in (select oid from trusted)
union all
select 'grant'::text, object, acl.privilege_type || ' ('::text || quote_ident(a.attname::text)
       || ')'::text,
       case acl.grantee when 0::oid then ''::text
                        else pg_catalog.pg_get_userbyid(acl.grantee)::text end
  from own
  join pg_catalog.pg_attribute a on a.attrelid = own.oid, pg_catalog.aclexplode(a.attacl) acl
 where acl.privilege_type <> 'SELECT'
   and acl.grantee <> relowner and acl.grantee not in (select oid from trusted)
union all
select 'code'::text, object, what, ''::text from code
union all
select 'event'::text, 'event trigger '::text || quote_ident(e.evtname::text),
       p.oid::pg_catalog.regprocedure::text, pg_catalog.pg_get_userbyid(p.proowner)::text
  from pg_catalog.pg_event_trigger e
  join pg_catalog.pg_proc p on p.oid = e.evtfoid
 where e.evtenabled <> 'D' and %(events)s::bool
   and p.proowner not in (select oid from trusted)
 order by 1, 2, 3, 4
