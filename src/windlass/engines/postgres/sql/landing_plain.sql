-- Whether nothing changes a row on its way into the table with the OID $1 or a partition of it: no trigger,
-- no rule and no generated column. Before version 15, triggers that a partition has from its parent are
-- marked as internal, so what counts is whether a constraint has made them.
with recursive parts as (
select $1::oid as oid
union all
select i.inhrelid
  from pg_catalog.pg_inherits i
  join parts p on p.oid = i.inhparent
)
select not exists (select from pg_catalog.pg_trigger g
                    where g.tgrelid = p.oid and g.tgenabled <> 'D'
                      and not exists (select from pg_catalog.pg_constraint c
                                       where c.oid = g.tgconstraint and c.contype in ('f', 'p', 'u', 'x')))
   and not exists (select from pg_catalog.pg_rewrite r where r.ev_class = p.oid)
   and not exists (select from pg_catalog.pg_attribute a
                    where a.attrelid = p.oid and a.attgenerated <> '' and not a.attisdropped) as plain
  from parts p
 order by plain
 limit 1
