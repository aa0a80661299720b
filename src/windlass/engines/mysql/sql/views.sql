-- views; without the right SHOW VIEW their text is empty
select v.table_name                                  as name,
       coalesce(v.view_definition, '')               as query,
       coalesce(v.check_option, '')                  as check_option,
       coalesce(v.security_type, '')                 as security
  from information_schema.views as v
 where v.table_schema = database()
 order by v.table_name
