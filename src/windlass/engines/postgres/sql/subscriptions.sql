-- Subscriptions of this database, by name.
select s.subname                                        as name
  from pg_subscription s
  join pg_database d on d.oid = s.subdbid
 where d.datname = current_database()
 order by s.subname
