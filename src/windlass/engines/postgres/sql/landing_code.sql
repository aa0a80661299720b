-- Functions of roles that are not trusted, which changing rows of the table with the OID $1 would run as us:
-- those of triggers, and those in defaults, generated columns, constraints, index expressions and domains.
with recursive trusted as (
select oid from pg_catalog.pg_roles where rolsuper or rolname = current_user
), part as (
select $1::oid as oid
union
select i.inhrelid from pg_catalog.pg_inherits i join part on part.oid = i.inhparent
), domain as (
select t.oid, t.typbasetype from pg_catalog.pg_attribute a join part on part.oid = a.attrelid
  join pg_catalog.pg_type t on t.oid = a.atttypid
 where t.typtype = 'd' and a.attnum > 0
union
select t.oid, t.typbasetype from domain d join pg_catalog.pg_type t on t.oid = d.typbasetype
 where t.typtype = 'd'
), code as (
select 'trigger ' || pg_catalog.quote_ident(t.tgname) as what, t.tgfoid as function
  from pg_catalog.pg_trigger t join part on part.oid = t.tgrelid
 where t.tgenabled <> 'D'
   -- not by tgisinternal: before version 15, it marks triggers that a partition has from its parent
   and not exists (select from pg_catalog.pg_constraint k
                    where k.oid = t.tgconstraint and k.contype in ('f', 'p', 'u', 'x'))
union
select 'default of ' || pg_catalog.quote_ident(a.attname), coalesce(o.oprcode, e.refobjid)
  from pg_catalog.pg_attrdef d
  join part on part.oid = d.adrelid
  join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  join pg_catalog.pg_depend e on e.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and e.objid = d.oid
  left join pg_catalog.pg_operator o on e.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
       and o.oid = e.refobjid
 where e.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
union
select 'constraint ' || pg_catalog.quote_ident(c.conname), coalesce(o.oprcode, e.refobjid)
  from pg_catalog.pg_constraint c
  join pg_catalog.pg_depend e on e.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and e.objid = c.oid
  left join pg_catalog.pg_operator o on e.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
       and o.oid = e.refobjid
 where (c.conrelid in (select oid from part) or c.contypid in (select oid from domain))
   and e.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
union
select 'index ' || pg_catalog.quote_ident(x.relname), coalesce(o.oprcode, e.refobjid)
  from pg_catalog.pg_index i
  join part on part.oid = i.indrelid
  join pg_catalog.pg_class x on x.oid = i.indexrelid
  join pg_catalog.pg_depend e on e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = x.oid
  left join pg_catalog.pg_operator o on e.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
       and o.oid = e.refobjid
 where e.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
)
select c.what                                                              as what,
       p.oid::pg_catalog.regprocedure::text                                as function,
       pg_catalog.pg_get_userbyid(p.proowner)::text                        as role
  from code c
  join pg_catalog.pg_proc p on p.oid = c.function
 where p.proowner not in (select oid from trusted)
 order by 1, 2
