-- The user's routines and operators that each object calls, as the server resolved them: PostgreSQL
-- prints a call by name, and resolves it by argument types when it parses that again.
with routine as (
select 'pg_proc'::regclass as class, p.oid, n.nspname as schema, p.proname as name,
       p.oid::regprocedure::text as signature
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
 where p.oid >= 16384  -- before the join: printing the signatures of PostgreSQL's own takes longest
union all
select 'pg_operator'::regclass, o.oid, n.nspname, o.oprname, o.oid::regoperator::text
  from pg_operator o
  join pg_namespace n on n.oid = o.oprnamespace
 where o.oid >= 16384
), member as (
select classid, objid from pg_depend where deptype = 'e'
)
select distinct
       i.type                                           as kind,
       i.identity                                       as caller,
       coalesce(n.nspname, i.schema, '')                as schema,
       coalesce(c.relname, '')                          as relation,
       r.schema                                         as routine_schema,
       r.name                                           as routine_name,
       r.signature                                      as signature
  from pg_depend d
  join routine r on r.class = d.refclassid and r.oid = d.refobjid
  left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
  left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
  left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
  left join pg_index x on d.classid = 'pg_class'::regclass and x.indexrelid = d.objid
  left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
  left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
  left join pg_statistic_ext s on d.classid = 'pg_statistic_ext'::regclass and s.oid = d.objid
  left join pg_class c on c.oid = coalesce(w.ev_class, k.conrelid, a.adrelid, x.indrelid, t.tgrelid,
                                           p.polrelid, s.stxrelid,
                                           case d.classid when 'pg_class'::regclass
                                             then d.objid end)
  left join pg_namespace n on n.oid = c.relnamespace
  -- a view has its query in a rule
 cross join lateral pg_identify_object(
         case w.rulename when '_RETURN' then 'pg_class'::regclass else d.classid end,
         case w.rulename when '_RETURN' then w.ev_class else d.objid end, 0) i
 where d.refobjid >= 16384
   and d.deptype in ('n', 'a', 'i')
   and i.identity is not null
   and (d.refclassid, d.refobjid) not in (table member)
   and (d.classid, d.objid) not in (table member)
   and r.schema <> 'windlass'
   and r.schema !~ '^windlass_\d{8}_\d{4}_[0-9a-f]{4}_'
