-- Tables and sequences of users that a run does not follow. It follows those with the schemas $2 and
-- names $3, the tables with the ids $4, and partitions beside those. $1: the schemas of other tables and
-- sequences; all if it is NULL. `belongs` is true of a sequence if a followed table owns it or has it in a
-- default, in whatever schema it is; one that only another table owns is left out.
with followed as (
select c.oid
  from unnest($2::name[], $3::name[]) as one (schema, name)
  join pg_namespace n on n.nspname = one.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = one.name
union
select unnest($4::oid[])
), roots as (
select coalesce(pg_partition_root(oid), oid) as oid
  from followed
), found as materialized (
select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind = 'S' as is_sequence,
       $1::name[] is null or n.nspname = any($1::name[]) as is_inside
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'S')
   and c.relpersistence <> 't'
   and (c.relkind = 'S' or $1::name[] is null or n.nspname = any($1::name[]))
   and n.nspname not in ('windlass', 'information_schema')
   and n.nspname !~ '^pg_'
   -- not by `followed`, which needs a look-up for each table: it is read only if something is found
   and not exists (select from unnest($4::oid[]) as one (oid) where one.oid = c.oid)
   and not exists (select from unnest($2::name[], $3::name[]) as one (schema, name)
                    where one.name = c.relname and one.schema = n.nspname)
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
), of_tables as (
select s.oid as sequence, d.refobjid as relation, true as is_owner
  from found s
  join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid
   and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
 where s.is_sequence
union all
select s.oid, a.adrelid, false
  from found s
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid
   and d.classid = 'pg_attrdef'::regclass
  join pg_attrdef a on a.oid = d.objid
 where s.is_sequence
), sequences as (
select sequence, bool_or(is_owner) as is_owned,
       bool_or(coalesce(pg_partition_root(relation), relation) in (select oid from roots)) as is_followed
  from of_tables
 group by sequence
)
select f.schema, f.name, f.is_sequence,
       f.oid::bigint                                              as oid,
       coalesce(pg_partition_root(f.oid), f.oid)::oid::bigint     as root,
       coalesce(s.is_followed, false)                             as belongs
  from found f
  left join sequences s on s.sequence = f.oid
 where case when not f.is_sequence
            then coalesce(pg_partition_root(f.oid), f.oid) not in (select oid from roots)
            else coalesce(s.is_followed, false) or (f.is_inside and not coalesce(s.is_owned, false)) end
 order by 1, 2
