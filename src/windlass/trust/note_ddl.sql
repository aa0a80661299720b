-- The body of a run's event triggers on its source: notes each statement that changes what the run
-- follows, in the transaction of that statement. It never makes a statement fail.
-- What is in braces is replaced: by the run's name, and by the queries of shapes.sql and within.sql.
declare
    ours     constant text := 'windlass_{run}_forward';
    followed oid[];
    schemas  name[];
    touched  oid[];
    named    jsonb;
    made     jsonb := '[]';
    dropped  jsonb := '[]';
    columns  jsonb := '[]';  -- that were dropped
begin
    if tg_tag in ('COMMENT', 'GRANT', 'REVOKE', 'SECURITY LABEL', 'ALTER DEFAULT PRIVILEGES',
                  'REFRESH MATERIALIZED VIEW', 'REINDEX', 'CREATE STATISTICS', 'ALTER STATISTICS',
                  'DROP STATISTICS') then
        return;
    end if;

    -- what is published, its partitions, and what these are partitions of
    with recursive below (oid) as (
        select r.prrelid
          from pg_publication_rel r
          join pg_publication p on p.oid = r.prpubid
          join pg_class c on c.oid = r.prrelid
         where p.pubname = ours and c.relnamespace <> 'windlass'::regnamespace
        union
        select i.inhrelid from below
          join pg_inherits i on i.inhparent = below.oid
          join pg_class c on c.oid = i.inhrelid and c.relispartition
    ), above (oid) as (
        select below.oid from below
        union
        select i.inhparent from above
          join pg_inherits i on i.inhrelid = above.oid
          join pg_class c on c.oid = i.inhrelid and c.relispartition
    )
    select coalesce(array_agg(above.oid), '{}'), coalesce(array_agg(distinct n.nspname), '{}')
      into followed, schemas
      from above
      join pg_class c on c.oid = above.oid
      join pg_namespace n on n.oid = c.relnamespace;

    if tg_event = 'sql_drop' then
        with gone as (
            select d.object_type, d.object_identity, d.original or d.normal as is_named,
                   d.address_names as names,
                   case when d.object_type in ('table', 'table column', 'table constraint',
                                               'default value', 'publication relation')
                        then to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))
                   end as relation
              from pg_event_trigger_dropped_objects() d
             where not d.is_temporary
               and (d.schema_name = any (schemas::text[])
                    or d.object_type = 'publication relation' and d.address_args = array[ours]
                    or d.object_type in ('table column', 'table constraint', 'default value')
                       and d.address_names[1] = any (schemas::text[]))
        )
        select coalesce(jsonb_agg(distinct object_identity) filter (where is_named), '[]'),
               coalesce(jsonb_agg(distinct jsonb_build_array(names[1], names[2]))
                        filter (where object_type in ('table', 'publication relation')
                                  and relation is null), '[]'),
               coalesce(jsonb_agg(distinct to_jsonb(names))
                        filter (where object_type = 'table column'), '[]'),
               coalesce(array_agg(distinct relation::oid)
                        filter (where relation = any (followed)), '{}')
          into named, dropped, columns, touched
          from gone;
    else
        with recursive commands as (
            select d.classid, d.objid, d.object_type, d.schema_name, d.object_identity,
                   case d.classid
                     when 'pg_class'::regclass then
                       coalesce((select i.indrelid from pg_index i where i.indexrelid = d.objid),
                                d.objid)
                     when 'pg_constraint'::regclass then
                       (select x.conrelid from pg_constraint x where x.oid = d.objid)
                   end as relation,
                   case d.classid
                     when 'pg_type'::regclass then d.objid
                     when 'pg_class'::regclass then
                       (select c.reltype from pg_class c where c.oid = d.objid and c.relkind = 'c')
                     when 'pg_constraint'::regclass then
                       (select x.contypid from pg_constraint x where x.oid = d.objid)
                   end as type
              from pg_event_trigger_ddl_commands() d
             where d.schema_name is distinct from 'pg_temp'
        ), used (relation, type) as (
            select a.attrelid, a.atttypid from pg_attribute a
             where a.attrelid = any (followed) and a.attnum > 0 and not a.attisdropped
            union
            select used.relation, within.type
              from used
              join pg_type t on t.oid = used.type
             cross join lateral ({within}) as within (type)
             where within.type <> 0
        ), direct (oid) as (
            select c.relation from commands c where c.relation = any (followed)
            union
            select used.relation from used join commands c on c.type = used.type and c.type <> 0
            union
            select i.inhrelid from direct join pg_inherits i on i.inhparent = direct.oid
             where i.inhrelid = any (followed)
        )
        select coalesce((select array_agg(distinct direct.oid) from direct), '{}'),
               coalesce(jsonb_agg(distinct c.object_identity)
                        filter (where c.schema_name = any (schemas::text[])
                                   or c.relation = any (followed)
                                   or c.type in (select used.type from used where used.type <> 0)),
                        '[]'),
               coalesce(jsonb_agg(distinct jsonb_build_array(n.nspname, t.relname))
                        filter (where c.object_type = 'table' and not t.oid = any (followed)
                                  and n.nspname = any (schemas)
                                  and tg_tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')),
                        '[]')
          into touched, named, made
          from commands c
          left join pg_class t on c.classid = 'pg_class'::regclass and t.oid = c.objid
          left join pg_namespace n on n.oid = t.relnamespace;
    end if;

    if touched = '{}' and named = '[]' and dropped = '[]' then
        return;
    end if;
    insert into windlass.ddl (run, id, tag, objects, statement)
    select '{run}', md5(random()::text || clock_timestamp()::text || txid_current()::text), tg_tag,
           jsonb_build_object(
             'named', named, 'made', made, 'dropped', dropped, 'columns', columns,
             'relations', (select coalesce(jsonb_agg(found.shape), '[]') from ({shapes}) as found)
           )::text,
           coalesce(current_query(), '');
exception
    when others then
        raise log 'windlass cannot note a statement: %', sqlerrm;
end
