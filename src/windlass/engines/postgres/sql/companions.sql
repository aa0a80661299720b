-- Objects created with each range type that do not follow it into another schema: since version 14.
select n.nspname                                        as schema,
       t.typname                                        as type,
       'TYPE'                                           as kind,
       m.typname                                        as name,
       ''                                               as signature
  from pg_range r
  join pg_type t on t.oid = r.rngtypid
  join pg_namespace n on n.oid = t.typnamespace
  join pg_type m on m.oid = r.rngmultitypid and m.typnamespace = t.typnamespace
 where t.oid >= 16384
union all
select n.nspname, t.typname, 'FUNCTION', p.proname,
       '(' || pg_get_function_identity_arguments(p.oid) || ')'
  from pg_range r
  join pg_type t on t.oid = r.rngtypid
  join pg_namespace n on n.oid = t.typnamespace
  join pg_depend d on d.refclassid = 'pg_type'::regclass
                  and d.refobjid in (r.rngtypid, r.rngmultitypid)
                  and d.classid = 'pg_proc'::regclass and d.deptype = 'i'
  join pg_proc p on p.oid = d.objid and p.pronamespace = t.typnamespace
 where t.oid >= 16384
