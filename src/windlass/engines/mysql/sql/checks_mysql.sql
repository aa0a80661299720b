-- checks; MySQL 8.0.16 and newer
select t.table_name                                  as `table`,
       c.constraint_name                             as name,
       c.check_clause                                as expression,
       t.enforced = 'YES'                            as is_enforced
  from information_schema.check_constraints as c
  join information_schema.table_constraints as t
    on t.constraint_schema = c.constraint_schema
   and t.constraint_name = c.constraint_name
   and t.constraint_type = 'CHECK'
 where c.constraint_schema = database()
 order by t.table_name, c.constraint_name
