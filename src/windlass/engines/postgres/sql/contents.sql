-- The objects in each schema, as DROP names them. A column's own sequence, a row type and the like
-- are dropped with the object they belong to.
select n.nspname                                        as schema,
       case when d.classid = 'pg_proc'::regclass then 'routine'
            when i.type = 'statistics object' then 'statistics'
            else i.type end                             as kind,
       case when d.classid = 'pg_proc'::regclass then d.objid::regprocedure::text
            else i.identity end                         as name,
       d.classid::bigint                                as class,
       d.objid::bigint                                  as oid
  from pg_depend d
  join pg_namespace n on d.refclassid = 'pg_namespace'::regclass and n.oid = d.refobjid
 cross join lateral pg_identify_object(d.classid, d.objid, 0) i
 where d.deptype = 'n'
   and n.nspname ~ '^windlass_\d{8}_\d{4}_[0-9a-f]{4}_'
   and i.identity is not null
   and d.classid <> 'pg_default_acl'::regclass
   and not exists (select from pg_depend o
                    where o.classid = d.classid and o.objid = d.objid
                      and (o.deptype in ('i', 'P')
                           or o.deptype = 'a' and o.refclassid = 'pg_class'::regclass))
