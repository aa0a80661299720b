-- checks; one of a column is named after it
select c.table_name                                  as `table`,
       c.constraint_name                             as name,
       c.check_clause                                as expression,
       1                                             as is_enforced
  from information_schema.check_constraints as c
 where c.constraint_schema = database()
 order by c.table_name, c.constraint_name
