-- Every table and view of the file. A virtual table's own tables are shadows of it.
select l.name, l.type, l.wr as without_rowid,
       (select json_group_array(name) from (
          select name from pragma_table_xinfo(l.name) where pk > 0 order by pk)) as primary_key,
       (select json_group_array(name) from pragma_table_xinfo(l.name)
         where "notnull" or (pk > 0 and l.wr)) as not_null
  from pragma_table_list as l
 where l.schema = 'main'
   and l.type in ('table', 'view', 'virtual')
   and l.name not like 'sqlite\_%' escape '\'
 order by l.name
