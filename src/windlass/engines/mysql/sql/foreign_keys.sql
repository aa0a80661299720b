-- columns of foreign keys, in their order
select k.table_name                                  as `table`,
       k.constraint_name                             as name,
       k.column_name                                 as `column`,
       k.referenced_table_schema                     as to_schema,
       k.referenced_table_name                       as to_table,
       k.referenced_column_name                      as to_column,
       r.update_rule                                 as on_update,
       r.delete_rule                                 as on_delete
  from information_schema.key_column_usage as k
  join information_schema.referential_constraints as r
    on r.constraint_schema = k.constraint_schema
   and r.constraint_name = k.constraint_name
   and r.table_name = k.table_name
 where k.table_schema = database()
   and k.referenced_table_name is not null
 order by k.table_name, k.constraint_name, k.ordinal_position
