-- Every column of every table of the file that was opened, in order.
select c.schema_name, c.table_name, t.estimated_size as row_count, t.comment as table_comment,
       t.sql as definition, c.column_name, c.data_type, c.column_default, c.is_nullable,
       c.comment as column_comment, coalesce(g.is_generated = 'ALWAYS', false) as is_generated
  from duckdb_columns() as c
  join duckdb_tables() as t
    on t.database_name = c.database_name and t.schema_name = c.schema_name
   and t.table_name = c.table_name
  left join information_schema.columns as g
    on g.table_catalog = c.database_name and g.table_schema = c.schema_name
   and g.table_name = c.table_name and g.column_name = c.column_name
 where c.database_name = current_database() and not t.internal and not t.temporary
 order by c.schema_name, c.table_name, c.column_index
