-- Every reference from one user object to another. Parts of an object (a default, a constraint, a
-- trigger, a rule, a row type, an index) count as that object: its `top`.
with recursive inside as (
select 'pg_attrdef'::regclass::oid as class, oid, 'pg_class'::regclass::oid as of_class, adrelid as of_oid
  from pg_attrdef
union all
select 'pg_constraint'::regclass, oid,
       case conrelid when 0 then 'pg_type'::regclass else 'pg_class'::regclass end,
       case conrelid when 0 then contypid else conrelid end
  from pg_constraint
 where conrelid <> 0 or contypid <> 0
union all
select 'pg_trigger'::regclass, oid, 'pg_class'::regclass, tgrelid from pg_trigger
union all
select 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class from pg_rewrite
union all
select 'pg_policy'::regclass, oid, 'pg_class'::regclass, polrelid from pg_policy
union all
select 'pg_class'::regclass, indexrelid, 'pg_class'::regclass, indrelid from pg_index
union all
select 'pg_publication_rel'::regclass, oid, 'pg_publication'::regclass, prpubid from pg_publication_rel
union all
select 'pg_user_mapping'::regclass, oid, 'pg_foreign_server'::regclass, umserver from pg_user_mapping
union all
select 'pg_class'::regclass, s.oid, 'pg_class'::regclass, d.refobjid  -- a sequence that feeds a column
  from pg_class s
  join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid
                  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
                  and d.deptype in ('a', 'i')
 where s.relkind = 'S'
union all
select classid, objid, refclassid, refobjid  -- TOAST, row types, array types, multiranges, their functions
  from pg_depend
 where deptype = 'i' and objid >= 16384
   and (classid, objid) <> (refclassid, refobjid)
   and classid not in ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass,
                       'pg_rewrite'::regclass, 'pg_policy'::regclass)
), climbing as (
select class, oid, of_class, of_oid, 1 as height from inside
union all
select c.class, c.oid, i.of_class, i.of_oid, c.height + 1
  from climbing c
  join inside i on i.class = c.of_class and i.oid = c.of_oid
 where c.height < 8
), top as (
select distinct on (class, oid) class, oid, of_class, of_oid
  from climbing
 order by class, oid, height desc
), reference as (
select distinct
       coalesce(t.of_class, d.classid) as top_class, coalesce(t.of_oid, d.objid) as top_oid,
       d.classid, d.objid, d.objsubid, d.deptype,
       coalesce(r.of_class, d.refclassid) as to_class, coalesce(r.of_oid, d.refobjid) as to_oid,
       case when d.refclassid = 'pg_class'::regclass
             and d.refobjid = coalesce(r.of_oid, d.refobjid) then d.refobjsubid else 0 end as to_column
  from pg_depend d
  left join top t on t.class = d.classid and t.oid = d.objid
  left join top r on r.class = d.refclassid and r.oid = d.refobjid
 where d.deptype <> 'e'
   and d.objid >= 16384 and d.refobjid >= 16384
   and d.refclassid not in ('pg_namespace'::regclass, 'pg_extension'::regclass)
)
select case d.classid
       when 'pg_rewrite'::regclass then
            case when c.relkind in ('v', 'm') and w.rulename = '_RETURN' then 'VIEW' else 'RULE' end
       when 'pg_constraint'::regclass then
            case o.contype when 'f' then 'FK CONSTRAINT' else 'CONSTRAINT' end
       when 'pg_trigger'::regclass then 'TRIGGER'
       when 'pg_policy'::regclass then 'POLICY'
       when 'pg_attrdef'::regclass then case a.attgenerated when '' then 'DEFAULT' else 'GENERATED' end
       when 'pg_publication_rel'::regclass then 'PUBLICATION TABLE'
       when 'pg_statistic_ext'::regclass then 'STATISTICS'
       when 'pg_event_trigger'::regclass then 'EVENT TRIGGER'
       when 'pg_cast'::regclass then 'CAST'
       when 'pg_transform'::regclass then 'TRANSFORM'
       when 'pg_class'::regclass then
            case when d.objsubid > 0 then 'COLUMN'
                 when d.objid <> d.top_oid then 'INDEX'
                 when h.inhrelid is not null then 'CHILD'
                 else 'RELATION' end
       else 'OBJECT' end                                as kind,
       d.top_class::bigint                              as top_class,
       d.top_oid::bigint                                as top_oid,
       d.classid::bigint                                as part_class,
       d.objid::bigint                                  as part_oid,
       part.type || ' ' || part.identity                as object,
       coalesce(top.schema, '')                         as schema,
       d.to_class::bigint                               as to_class,
       d.to_oid::bigint                                 as to_oid,
       refers.type || ' ' || refers.identity            as refers_to,
       coalesce(rc.attname, '')                         as refers_to_column,
       coalesce(c.relname, '')                          as relation,
       coalesce(a.attname, '')                          as column,
       coalesce(pg_get_expr(f.adbin, f.adrelid), '')    as expression
  from reference d
  left join pg_class c on d.top_class = 'pg_class'::regclass and c.oid = d.top_oid
  left join pg_constraint o on d.classid = 'pg_constraint'::regclass and o.oid = d.objid
  left join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
  left join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
  left join pg_inherits h on d.classid = 'pg_class'::regclass and d.to_class = 'pg_class'::regclass
                         and h.inhrelid = d.objid and h.inhparent = d.to_oid
  left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
  left join pg_trigger g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
  left join pg_attribute rc on d.to_column > 0 and d.to_class = 'pg_class'::regclass
                           and rc.attrelid = d.to_oid and rc.attnum = d.to_column
 cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) part
 cross join lateral pg_identify_object(d.top_class, d.top_oid, 0) top
 cross join lateral pg_identify_object(d.to_class, d.to_oid, 0) refers
 where (d.top_class, d.top_oid) <> (d.to_class, d.to_oid)
   and not coalesce(g.tgisinternal, false)
   -- what a partition has of its root
   and coalesce(o.conparentid, 0) = 0
   and not (d.classid = 'pg_trigger'::regclass and
            exists (select from pg_depend p
                     where p.classid = d.classid and p.objid = d.objid and p.deptype = 'P'))
   and part.identity is not null and refers.identity is not null
