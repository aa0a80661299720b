-- Triggers that fire on UPDATE, of a table and its partitions. tgtype: 1 is ROW, 2 BEFORE, 16 UPDATE.
with recursive tree as (
    select %(oid)s::oid as oid
    union all
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select t.tgname::text as name,
       bool_or(t.tgtype & 1 <> 0 and t.tgtype & 2 <> 0) as may_skip_rows
  from tree
  join pg_trigger t on t.tgrelid = tree.oid
 where t.tgenabled in ('O', 'A') and t.tgtype & 16 <> 0
   -- not by tgisinternal: before version 15, it marks triggers that a partition has from its parent
   and not exists (select from pg_constraint k
                    where k.oid = t.tgconstraint and k.contype in ('f', 'p', 'u', 'x'))
 group by t.tgname
 order by t.tgname
