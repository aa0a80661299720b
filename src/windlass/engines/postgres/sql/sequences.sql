-- Sequences of the user, with those an identity column owns. State is read one by one.
select n.nspname                                        as schema,
       c.relname                                        as name,
       pn.nspname                                       as owner_schema,
       p.relname                                        as owner_name,
       has_sequence_privilege(c.oid, 'select')          as readable,
       c.relpersistence = 'u'                           as unlogged,
       array(select array[un.nspname::text, u.relname::text]
               from pg_depend ud
               join pg_attrdef ad on ad.oid = ud.objid
               join pg_class u on u.oid = ad.adrelid
               join pg_namespace un on un.oid = u.relnamespace
              where ud.classid = 'pg_attrdef'::regclass and ud.refclassid = 'pg_class'::regclass
                and ud.refobjid = c.oid)                as users
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid
                       and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
                       and d.deptype in ('a', 'i')
  left join pg_class p on p.oid = d.refobjid
  left join pg_namespace pn on pn.oid = p.relnamespace
 where c.relkind = 'S'
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and not exists (select from pg_depend e
                    where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
 order by n.nspname, c.relname
