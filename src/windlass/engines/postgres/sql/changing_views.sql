-- Materialized views whose queries return other rows on another server or at another time: they use
-- the time, the session or a random number, directly or through other views.
with recursive reads as (
select c.oid as view, c.oid as relation
  from pg_class c
 where c.relkind = 'm'
union
select r.view, c.oid
  from reads r
  join pg_rewrite w on w.ev_class = r.relation and w.rulename = '_RETURN'
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                  and d.refclassid = 'pg_class'::regclass
  join pg_class c on c.oid = d.refobjid and c.relkind = 'v'
), called as (
select r.view, f.id[1]::oid as routine
  from reads r
  join pg_rewrite w on w.ev_class = r.relation and w.rulename = '_RETURN'
 cross join lateral regexp_matches(w.ev_action::text, ':(?:op)?funcid (\d+)', 'g') f(id)
union all
select r.view, null  -- CURRENT_DATE, CURRENT_USER and the like are no calls
  from reads r
  join pg_rewrite w on w.ev_class = r.relation and w.rulename = '_RETURN'
 where w.ev_action::text like '%{SQLVALUEFUNCTION %'
)
select distinct n.nspname                               as schema,
       c.relname                                        as name
  from called
  join pg_class c on c.oid = called.view
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_proc p on p.oid = called.routine and p.pronamespace = 'pg_catalog'::regnamespace
 where called.routine is null
    or p.provolatile = 'v'
    or p.proname in ('now', 'transaction_timestamp', 'statement_timestamp', 'current_database',
                     'current_setting', 'version')
    or p.proname = 'age' and p.pronargs = 1
