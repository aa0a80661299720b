-- Columns of the table with the OID $1. `type` and `base` are as format_type writes them; of a domain `base`
-- is what it is made of. `equality` is the operator of the type's default class: empty if it has none.
with recursive made as (
select a.attnum, t.oid, t.typtype, t.typbasetype, a.atttypmod as modifier, 0 as depth
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_type t on t.oid = a.atttypid
 where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
union all
select m.attnum, t.oid, t.typtype, t.typbasetype,
       (select d.typtypmod from pg_catalog.pg_type d where d.oid = m.oid), m.depth + 1
  from made m
  join pg_catalog.pg_type t on t.oid = m.typbasetype
 where m.typtype = 'd'
), base as (
select distinct on (attnum) attnum, oid, typtype, modifier, depth from made order by attnum, depth desc
), equalities as (
select k.opcintype                                               as type,
       m.amname                                                  as method,
       pg_catalog.quote_ident(p.nspname) || '.' || o.oprname     as equality
  from pg_catalog.pg_opclass k
  join pg_catalog.pg_am m on m.oid = k.opcmethod and m.amname in ('btree', 'hash')
  join pg_catalog.pg_amop f on f.amopfamily = k.opcfamily and f.amoplefttype = k.opcintype
   and f.amoprighttype = k.opcintype and f.amopstrategy = case m.amname when 'btree' then 3 else 1 end
  join pg_catalog.pg_operator o on o.oid = f.amopopr
  join pg_catalog.pg_namespace p on p.oid = o.oprnamespace
 where k.opcdefault
offset 0 -- once, not for each column
)
select a.attname::text                                                      as name,
       pg_catalog.format_type(a.atttypid, a.atttypmod)                      as type,
       pg_catalog.format_type(b.oid, b.modifier)                            as base,
       t.typname::text                                                      as plain,
       b.oid::bigint                                                        as oid,
       b.modifier                                                           as modifier,
       b.depth > 0                                                          as is_domain,
       coalesce(pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(l.collname), '')
                                                                            as collation,
       coalesce(e.equality, case when b.typtype in ('e', 'r', 'm', 'c') or t.typcategory = 'A'
                                 then 'pg_catalog.=' else '' end)           as equality,
       a.attnotnull                                                         as not_null,
       a.atthasdef and a.attgenerated = ''                                  as has_default,
       a.attidentity::text                                                  as identity,
       a.attgenerated <> ''                                                 as generated,
       coalesce(pg_catalog.pg_get_serial_sequence(
         pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname), '')
                                                                            as sequence,
       case when pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'insert') then 'i' else '' end ||
       case when pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'update') then 'u' else '' end ||
       case when pg_catalog.has_sequence_privilege(
                   pg_catalog.pg_get_serial_sequence(
                     pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname),
                   'update') then 's' else '' end
                                                                            as rights
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join base b on b.attnum = a.attnum
  join pg_catalog.pg_type t on t.oid = b.oid
  left join pg_catalog.pg_collation l on l.oid = a.attcollation
  left join pg_catalog.pg_namespace s on s.oid = l.collnamespace
  left join lateral (
    select k.equality
      from equalities k
     where k.type = b.oid
        or exists (select from pg_catalog.pg_cast x
                    where x.castsource = b.oid and x.casttarget = k.type and x.castmethod = 'b'
                      and x.castcontext = 'i')
     order by k.type = b.oid desc, k.method
     limit 1) e on true
 where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
 order by a.attnum
