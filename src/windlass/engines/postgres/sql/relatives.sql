-- relatives What else a statement on a table means: tables that inherit from it without being
-- partitions, partitions that are foreign tables, and rules that replace statements or add to them.
select i.inhparent::bigint as oid, 'child' as kind,
       format('%I.%I', n.nspname, c.relname) as name
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  join pg_namespace n on n.oid = c.relnamespace
 where not c.relispartition
union all
select a.relid::oid::bigint, 'foreign partition', format('%I.%I', n.nspname, c.relname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join lateral pg_partition_ancestors(c.oid) a
 where c.relispartition and c.relkind = 'f' and a.relid <> c.oid
union all
select r.ev_class::bigint,
       case r.ev_type when '2' then 'update rule' when '3' then 'insert rule'
                      else 'delete rule' end,
       r.rulename::text
  from pg_rewrite r
  join pg_class c on c.oid = r.ev_class
 where c.relkind in ('r', 'p') and r.ev_type in ('2', '3', '4') and r.ev_enabled in ('O', 'A')
 order by 1, 2, 3
