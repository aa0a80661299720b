-- columns of tables and views, in their order; generated and default are as each server writes them
select c.table_name                                  as `table`,
       c.column_name                                 as name,
       c.column_type                                 as type,
       c.is_nullable = 'NO'                          as not_null,
       c.column_default                              as `default`,
       coalesce(c.generation_expression, '')         as generated,
       lower(c.extra)                                as extra,
       coalesce(c.collation_name, '')                as collation,
       coalesce(c.column_comment, '')                as comment
  from information_schema.columns as c
 where c.table_schema = database()
 order by c.table_name, c.ordinal_position
