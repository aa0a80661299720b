-- Every table and view of the file that was opened. Sizes are about eight bytes a value.
select t.schema_name, t.table_name, t.kind, t.estimated_size as row_count,
       t.estimated_size * t.column_count * 8 as size_bytes,
       coalesce((select list(c.column_name order by c.column_index) from duckdb_columns() as c
                  where c.table_oid = t.table_oid and c.database_name = t.database_name
                    and c.schema_name = t.schema_name and not c.is_nullable), []) as not_null,
       coalesce((select list(k.constraint_column_names order by k.constraint_type)
                   from duckdb_constraints() as k
                  where k.table_oid = t.table_oid and k.database_name = t.database_name
                    and k.schema_name = t.schema_name
                    and k.constraint_type in ('PRIMARY KEY', 'UNIQUE')), []) as keys
  from (select database_name, schema_name, table_name, table_oid, 'table' as kind,
               estimated_size, column_count
          from duckdb_tables() where not internal and not temporary
        union all
        select database_name, schema_name, view_name, view_oid, 'view', -1, 0
          from duckdb_views() where not internal and not temporary) as t
 where t.database_name = current_database()
 order by 1, 2
