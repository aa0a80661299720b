-- parts of indexes, in their order; MySQL 8.0.13 and newer
select s.table_name                                  as `table`,
       s.index_name                                  as name,
       s.non_unique = 0                              as is_unique,
       s.index_type                                  as kind,
       coalesce(s.column_name, '')                   as `column`,
       coalesce(s.expression, '')                    as expression,
       coalesce(s.sub_part, 0)                       as prefix,
       coalesce(s.collation, 'A') = 'D'              as descends
  from information_schema.statistics as s
 where s.table_schema = database()
 order by s.table_name, s.index_name, s.seq_in_index
