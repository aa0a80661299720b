-- The present state of objects, as one hash for each: of the catalog rows about the object, or part
-- of one, given by catalog ($1) and OID ($2). Without statistics, and without what other objects
-- change (a column's use, a trigger's flag).
with wanted as (
select class, oid from unnest($1::oid[], $2::oid[]) as given (class, oid)
), row_of as (
select 'pg_class'::regclass::oid as class, oid, oid as self,
       concat_ws('|', relname, relnamespace, relowner, relacl, reloptions, relrowsecurity,
                 relforcerowsecurity) as state
  from pg_class
union all
select 'pg_class'::regclass, attrelid, 0,
       concat_ws('|', attnum, attname, atttypid, atttypmod, attcollation, attnotnull, attacl, attoptions,
                 attfdwoptions)
  from pg_attribute
 where attnum > 0
union all
select 'pg_class'::regclass, ev_class, oid, r::text from pg_rewrite r
union all
select 'pg_rewrite'::regclass, oid, oid, r::text from pg_rewrite r
union all
select 'pg_class'::regclass, tgrelid, oid, t::text from pg_trigger t where not tgisinternal
union all
select 'pg_trigger'::regclass, oid, oid, t::text from pg_trigger t
union all
select 'pg_class'::regclass, adrelid, oid, a::text from pg_attrdef a
union all
select 'pg_attrdef'::regclass, oid, oid, a::text from pg_attrdef a
union all
select 'pg_policy'::regclass, oid, oid, p::text from pg_policy p
union all
select 'pg_constraint'::regclass, oid, oid, c::text from pg_constraint c
union all
select 'pg_type'::regclass, contypid, oid, c::text from pg_constraint c where contypid <> 0
union all
select 'pg_type'::regclass, oid, oid, t::text from pg_type t
union all
select 'pg_proc'::regclass, oid, oid, p::text from pg_proc p
union all
select 'pg_proc'::regclass, aggfnoid, 0, a::text from pg_aggregate a
union all
select 'pg_publication_rel'::regclass, oid, oid, p::text from pg_publication_rel p
union all
select 'pg_event_trigger'::regclass, oid, oid, e::text from pg_event_trigger e
union all
select 'pg_operator'::regclass, oid, oid, o::text from pg_operator o
union all
select 'pg_opclass'::regclass, oid, oid, o::text from pg_opclass o
union all
select 'pg_opfamily'::regclass, oid, oid, o::text from pg_opfamily o
union all
select 'pg_opfamily'::regclass, amopfamily, oid, a::text from pg_amop a
union all
select 'pg_opfamily'::regclass, amprocfamily, oid, a::text from pg_amproc a
union all
select 'pg_collation'::regclass, oid, oid, c::text from pg_collation c
union all
select 'pg_conversion'::regclass, oid, oid, c::text from pg_conversion c
union all
select 'pg_ts_dict'::regclass, oid, oid, c::text from pg_ts_dict c
union all
select 'pg_ts_parser'::regclass, oid, oid, c::text from pg_ts_parser c
union all
select 'pg_ts_template'::regclass, oid, oid, c::text from pg_ts_template c
union all
select 'pg_ts_config'::regclass, oid, oid, c::text from pg_ts_config c
union all
select 'pg_ts_config'::regclass, mapcfg, 0, m::text from pg_ts_config_map m
union all
select 'pg_type'::regclass, enumtypid, oid, e::text from pg_enum e
union all
select 'pg_type'::regclass, t.oid, 0, concat_ws('|', attnum, attname, a.atttypid, a.atttypmod)
  from pg_type t
  join pg_attribute a on a.attrelid = t.typrelid
 where t.typtype = 'c' and attnum > 0
union all
select 'pg_class'::regclass, ftrelid, 0, f::text from pg_foreign_table f
union all
select 'pg_class'::regclass, indrelid, indexrelid,
       concat_ws('|', indkey, indclass, indcollation, indoption, indisunique, indexprs, indpred)
  from pg_index
union all
select classoid, objoid, objsubid, description from pg_description
)
select class, oid, md5(string_agg(self || ' ' || state, '|' order by self, state)) as state
  from wanted
  join row_of using (class, oid)
 group by class, oid
