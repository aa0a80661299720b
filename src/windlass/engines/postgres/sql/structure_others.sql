-- What no other engine takes: of each its kind, where it is, its name, and the text to show.
with mine (oid, nspname) as (
  select oid, nspname from pg_namespace
   where nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
     and nspname !~ '^pg_(temp|toast_temp)_'
), extended (class, oid) as (
  select classid, objid from pg_depend where deptype = 'e'
)
select 'trigger' as kind, n.nspname as schema, c.relname as relation, t.tgname as name,
       pg_get_triggerdef(t.oid) as text
  from pg_trigger t join pg_class c on c.oid = t.tgrelid join mine n on n.oid = c.relnamespace
 where not t.tgisinternal and not c.relispartition
 union all
select 'rule', n.nspname, c.relname, w.rulename, pg_get_ruledef(w.oid)
  from pg_rewrite w join pg_class c on c.oid = w.ev_class join mine n on n.oid = c.relnamespace
 where w.rulename <> '_RETURN'
 union all
select 'policy', n.nspname, c.relname, p.polname, coalesce(pg_get_expr(p.polqual, p.polrelid), '')
  from pg_policy p join pg_class c on c.oid = p.polrelid join mine n on n.oid = c.relnamespace
 union all
select case f.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end,
       n.nspname, '', f.proname || '(' || pg_get_function_identity_arguments(f.oid) || ')', ''
  from pg_proc f join mine n on n.oid = f.pronamespace
 where not exists (select from extended e where e.class = 'pg_proc'::regclass and e.oid = f.oid)
 union all
select 'foreign table', n.nspname, '', c.relname, ''
  from pg_class c join mine n on n.oid = c.relnamespace
 where c.relkind = 'f'
 union all
select 'sequence', n.nspname, '', c.relname, ''
  from pg_class c join mine n on n.oid = c.relnamespace
 where c.relkind = 'S' and c.relpersistence <> 't'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid
                      and d.deptype in ('a', 'i', 'e'))
 union all
select 'event trigger', '', '', v.evtname, ''
  from pg_event_trigger v
 union all
select 'large objects', '', '', l.n::text, ''
  from (select count(*) as n from pg_largeobject_metadata) as l
 where l.n > 0
 order by 1, 2, 3, 4
