-- Sessions of this database that are starting: until a session has read the database's settings it
-- holds a writer's lock on the database itself (InitPostgres). In pg_stat_activity it may be missing.
select l.pid                                            as pid
  from pg_locks l
 where l.locktype = 'object'
   and l.database = 0
   and l.classid = 'pg_database'::regclass
   and l.objid = (select oid from pg_database where datname = current_database())
   and l.mode = 'RowExclusiveLock'
   and l.pid <> pg_backend_pid()
