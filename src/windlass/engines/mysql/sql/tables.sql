-- tables of the current database; the counts are estimates of the storage engine
select t.table_name                                  as name,
       t.table_type                                  as kind,
       coalesce(t.engine, '')                        as engine,
       coalesce(t.table_rows, -1)                    as `rows`,
       coalesce(t.data_length, 0)                    as size_bytes,
       coalesce(t.auto_increment, 0)                 as next_number,
       coalesce(t.table_comment, '')                 as comment,
       coalesce(t.create_options, '') like '%partitioned%' as is_partitioned
  from information_schema.tables as t
 where t.table_schema = database()
   and t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')
 order by t.table_name
