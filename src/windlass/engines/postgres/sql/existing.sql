-- The target's existing objects, with pg_dump's words for kinds. Members of extensions are left
-- out. `signature` distinguishes objects of the same name, as in pg_dump's tag; `identity` is what
-- ALTER takes after the name. PostgreSQL's own objects are filtered out before names are computed,
-- which is slow.
with spaces as (
select oid, nspname
  from pg_namespace
 where nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and nspname !~ '^pg_(temp|toast_temp)_'
), own as (
select case c.relkind when 'r' then 'TABLE' when 'p' then 'TABLE' when 'v' then 'VIEW'
                      when 'm' then 'MATERIALIZED VIEW' when 'f' then 'FOREIGN TABLE'
                      when 'S' then 'SEQUENCE' end as kind,
       c.relnamespace as space, c.relname::text as name, '' as signature, '' as identity,
       'pg_class'::regclass as class, c.oid
  from pg_class c
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
union all
select case when not t.typisdefined then 'SHELL TYPE' when t.typtype = 'd' then 'DOMAIN' else 'TYPE' end,
       t.typnamespace, t.typname, '', '',
       'pg_type'::regclass, t.oid
  from pg_type t
  left join pg_class rc on rc.oid = t.typrelid
 where t.typtype in ('d', 'e', 'r')
    or (t.typtype = 'b' and t.typcategory <> 'A')
    or (t.typtype = 'c' and rc.relkind = 'c')
    or not t.typisdefined
union all
select case p.prokind when 'a' then 'AGGREGATE' when 'p' then 'PROCEDURE' else 'FUNCTION' end,
       p.pronamespace, p.proname, oidvectortypes(p.proargtypes),
       case when p.prokind = 'a' and p.pronargs = 0 then '(*)'
            else '(' || pg_get_function_identity_arguments(p.oid) || ')' end,
       'pg_proc'::regclass, p.oid
  from pg_proc p
 where p.pronamespace in (select oid from spaces)
union all
select 'COLLATION', l.collnamespace, l.collname, '', '', 'pg_collation'::regclass, l.oid
  from pg_collation l
union all
select 'TEXT SEARCH CONFIGURATION', f.cfgnamespace, f.cfgname, '', '', 'pg_ts_config'::regclass, f.oid
  from pg_ts_config f
union all
select 'TEXT SEARCH DICTIONARY', f.dictnamespace, f.dictname, '', '', 'pg_ts_dict'::regclass, f.oid
  from pg_ts_dict f
union all
select 'TEXT SEARCH PARSER', f.prsnamespace, f.prsname, '', '', 'pg_ts_parser'::regclass, f.oid
  from pg_ts_parser f
union all
select 'TEXT SEARCH TEMPLATE', f.tmplnamespace, f.tmplname, '', '', 'pg_ts_template'::regclass, f.oid
  from pg_ts_template f
union all
select 'OPERATOR', o.oprnamespace, o.oprname, takes, ' (' || takes || ')',
       'pg_operator'::regclass, o.oid
  from pg_operator o
 cross join lateral concat_ws(', ',
            case o.oprleft when 0 then 'NONE' else format_type(o.oprleft, null) end,
            case o.oprright when 0 then 'NONE' else format_type(o.oprright, null) end) takes
 where o.oprnamespace in (select oid from spaces)
union all
select 'OPERATOR CLASS', o.opcnamespace, o.opcname, quote_ident(m.amname), ' using ' || quote_ident(m.amname),
       'pg_opclass'::regclass, o.oid
  from pg_opclass o
  join pg_am m on m.oid = o.opcmethod
union all
select 'OPERATOR FAMILY', o.opfnamespace, o.opfname, quote_ident(m.amname), ' using ' || quote_ident(m.amname),
       'pg_opfamily'::regclass, o.oid
  from pg_opfamily o
  join pg_am m on m.oid = o.opfmethod
union all
select 'CONVERSION', c.connamespace, c.conname, '', '', 'pg_conversion'::regclass, c.oid
  from pg_conversion c
union all
select 'STATISTICS', s.stxnamespace, s.stxname, '', '', 'pg_statistic_ext'::regclass, s.oid
  from pg_statistic_ext s
)
select o.kind, n.nspname as schema, o.name, o.signature, o.identity, o.class::oid as class, o.oid
  from own o
  join spaces n on n.oid = o.space
 where not exists (select from pg_depend d
                   where d.classid = o.class and d.objid = o.oid
                     and d.deptype in ('e', 'i')
                     -- a partitioned relation depends on the columns of its key
                     and (d.refclassid, d.refobjid) <> (o.class, o.oid))
union all
-- they share the names of relations; the signature is the relation's name
select 'INDEX', n.nspname, x.relname, c.relname, '', 'pg_class'::regclass::oid, x.oid
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_class c on c.oid = i.indrelid
  join spaces n on n.oid = c.relnamespace
union all
select 'CAST', '', format('CAST (%s AS %s)', format_type(castsource, null),
                          format_type(casttarget, null)), '', '', 'pg_cast'::regclass::oid, oid
  from pg_cast
 where oid >= 16384
union all
select 'TRANSFORM', '', format('TRANSFORM FOR %s LANGUAGE %I', format_type(t.trftype, null),
                               l.lanname), '', '', 'pg_transform'::regclass::oid, t.oid
  from pg_transform t
  join pg_language l on l.oid = t.trflang
union all
select 'PROCEDURAL LANGUAGE', '', lanname, '', '', 'pg_language'::regclass::oid, oid
  from pg_language
union all
select 'ACCESS METHOD', '', amname, '', '', 'pg_am'::regclass::oid, oid
  from pg_am
union all
select 'EVENT TRIGGER', '', evtname, '', '', 'pg_event_trigger'::regclass::oid, oid
  from pg_event_trigger
union all
select 'PUBLICATION', '', pubname, '', '', 'pg_publication'::regclass::oid, oid
  from pg_publication
union all
select 'FOREIGN DATA WRAPPER', '', fdwname, '', '', 'pg_foreign_data_wrapper'::regclass::oid, oid
  from pg_foreign_data_wrapper
union all
select 'SERVER', '', srvname, '', '', 'pg_foreign_server'::regclass::oid, oid
  from pg_foreign_server
union all
select 'USER MAPPING', '', format('USER MAPPING %s SERVER %s', usename, srvname), '', '',
       'pg_user_mapping'::regclass::oid, umid
  from pg_user_mappings
union all
select 'SCHEMA', '', nspname, pg_get_userbyid(nspowner), '', 'pg_namespace'::regclass::oid, oid
  from pg_namespace
union all
select 'EXTENSION', '', extname, '', '', 'pg_extension'::regclass::oid, oid
  from pg_extension
union all
-- giving an object to a role requires SET since version 16, and working on it afterwards USAGE
select 'ROLE', '', r.rolname,
       case when pg_has_role(r.oid, 'usage') and
                 case when current_setting('server_version_num')::int >= 160000
                      then pg_has_role(r.oid, 'set') else pg_has_role(r.oid, 'member') end
            then 'member' else '' end, '', 0, 0
  from pg_roles r
union all
select 'SUPERUSER', '', rolname, '', '', 0, 0 from pg_roles where rolsuper
union all
select 'CREATOR', n.nspname, r.rolname, '', '', 0, 0
  from pg_roles me
  join pg_roles r on pg_has_role(r.oid, 'usage')
  join pg_namespace n on has_schema_privilege(r.oid, n.oid, 'create')
 where me.rolname = current_user and not me.rolsuper
union all
select 'HEIR', r.rolname, o.rolname, '', '', 0, 0
  from pg_roles me
  join pg_roles r on pg_has_role(r.oid, 'usage')
  join pg_roles o on pg_has_role(o.oid, 'usage') and pg_has_role(r.oid, o.oid, 'usage')
 where me.rolname = current_user and not me.rolsuper
union all
select 'TABLESPACE', '', spcname, '', '', 0, 0 from pg_tablespace
union all
select 'COMPRESSION', '', unnest(enumvals), '', '', 0, 0
  from pg_settings where name = 'default_toast_compression'
union all
select 'AVAILABLE', '', name, '', '', 0, 0 from pg_available_extensions
