-- Every relation a pattern can name, with what planning needs. Extensions' own are not the user's.
select c.oid::bigint                                    as oid,
       n.nspname                                        as schema,
       c.relname                                        as name,
       c.relkind                                        as kind,
       case when c.relkind in ('r', 'm')
            then pg_relation_size(c.oid) / current_setting('block_size')::int
            else 0 end                                  as blocks,
       case when c.relkind in ('r', 'm') then pg_table_size(c.oid) else 0 end as size_bytes,
       case when c.relkind = 'r' then pg_indexes_size(c.oid) else 0 end as index_bytes,
       c.reltuples::bigint                              as rows,
       pn.nspname                                       as parent_schema,
       p.relname                                        as parent_name,
       c.relhassubclass                                 as has_children,
       coalesce(above.found, '[]')                      as above,
       c.relispopulated                                 as populated,
       exists (select from pg_attribute own
                 join pg_attribute taken on taken.attrelid = own.attrelid
                where own.attrelid = c.oid and not c.relispartition
                  and own.attnum > 0 and not own.attisdropped and own.attinhcount = 0
                  and not taken.attisdropped and taken.attinhcount > 0
                  and own.attnum < taken.attnum)        as reordered,
       -- NOT NULL that a child did not inherit from its parent, which no definition can express
       array(select distinct own.attname::text
               from pg_inherits h
               join pg_attribute above on above.attrelid = h.inhparent and above.attnotnull
                    and above.attnum > 0 and not above.attisdropped
               join pg_attribute own on own.attrelid = c.oid and own.attname = above.attname
                    and not own.attnotnull
              where h.inhrelid = c.oid and not c.relispartition
                and not exists (select from pg_constraint k
                                 where k.conrelid = above.attrelid and k.contype = 'n'
                                   and k.conkey = array[above.attnum] and k.connoinherit)
              order by 1)                               as loosened,
       c.relhastriggers                                 as has_triggers,
       coalesce(am.amname = 'heap', false)
         and current_setting('server_version_num')::int >= 140000 as tid_range_scan,
       -- LOCK and COPY of the whole take more than SELECT on some columns
       c.relkind not in ('r', 'p')
         or has_table_privilege(c.oid, 'select')        as readable,
       c.relkind = 'r' and row_security_active(c.oid)   as hides_rows,
       c.relforcerowsecurity and pg_has_role(c.relowner, 'usage') as forced,
       c.relpersistence = 'u'                           as unlogged,
       has_schema_privilege(n.oid, 'usage')             as reachable
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am am on am.oid = c.relam
  left join pg_inherits i on i.inhrelid = c.oid and c.relispartition
  left join pg_class p on p.oid = i.inhparent
  left join lateral (
         -- the topmost ancestor first, with the types whose values decide into which partition of
         -- it a row goes: those that it hashes, and all that an expression has to do with; and
         -- whether it hashes sort keys, as a collation that is not deterministic has it
         select json_agg(json_build_array(rn.nspname, rc.relname, types.found,
                                          t.partstrat = 'h'
                                          and exists (select from unnest(t.partcollation::oid[])
                                                                  as used(id)
                                                        join pg_collation k on k.oid = used.id
                                                       where not k.collisdeterministic))
                         order by a.place desc) as found
           from pg_partition_ancestors(c.oid) with ordinality as a(oid, place)
           join pg_class rc on rc.oid = a.oid
           join pg_namespace rn on rn.oid = rc.relnamespace
           join pg_partitioned_table t on t.partrelid = rc.oid
          cross join lateral (
                 select array(select ka.atttypid::bigint
                                from unnest(t.partattrs::int2[]) as k(number)
                                join pg_attribute ka
                                  on ka.attrelid = t.partrelid and ka.attnum = k.number
                               where t.partstrat = 'h'
                               union
                              select word[1]::bigint
                                from regexp_matches(t.partexprs::text, 'type(?:id)? (\d+)', 'g')
                                     as one(word)) as found) as types
          where types.found <> '{}') as above on c.relispartition
  left join pg_namespace pn on pn.oid = p.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f')
   and c.relpersistence <> 't'
   and has_table_privilege(c.oid, 'select') is not null  -- it was dropped since the snapshot was taken
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')
   and n.nspname !~ '^pg_(temp|toast_temp)_'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by n.nspname, c.relname
