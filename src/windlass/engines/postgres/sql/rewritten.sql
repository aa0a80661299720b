-- What this session has locked, and so reads, but its snapshot no longer shows as it was: tables that were truncated,
-- rewritten, renamed or replaced since, and partitions that were dropped or detached. The functions look at the catalog as
-- it is now. A partition that is new has no rows of the snapshot. Numbers below 16384 are PostgreSQL's own objects.
with locked as (
    select distinct l.relation as oid
      from pg_catalog.pg_locks l
      join pg_catalog.pg_database d on d.oid = l.database
     where d.datname = pg_catalog.current_database()
       and l.locktype = 'relation'
       and l.pid = pg_catalog.pg_backend_pid()
       and l.relation >= 16384
)
select o.identity as name,
       false as has_left
  from locked l
  cross join lateral pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, l.oid, 0) o
  left join pg_catalog.pg_class c on c.oid = l.oid
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where case when c.oid is null
            then o.type in ('table', 'materialized view')
             and coalesce(pg_catalog.pg_partition_root(l.oid)::pg_catalog.oid = l.oid, true)
            when c.relkind in ('r', 'p', 'm')
            then o.identity <> pg_catalog.format('%I.%I', n.nspname, c.relname)
              or c.relfilenode <> 0
             and pg_catalog.pg_relation_filenode(c.oid) is distinct from c.relfilenode
            else false
       end
union
select pg_catalog.format('%I.%I', n.nspname, c.relname),
       true
  from locked l
  join pg_catalog.pg_inherits i on i.inhparent = l.oid
  join pg_catalog.pg_class c on c.oid = i.inhrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'f')
   and case when c.relispartition
            then coalesce(pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid = c.oid, true)
            else c.relkind = 'r' and pg_catalog.pg_relation_filenode(c.oid) is null
       end
 order by 2, 1
