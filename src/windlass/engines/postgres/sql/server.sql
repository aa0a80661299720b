-- Who and where we are, and what this database is for every way of naming it.
select coalesce(host(inet_server_addr()), 'socket')     as place,
       coalesce(inet_server_port(), current_setting('port')::int) as port,
       current_database()                               as database,
       current_user                                     as user,
       current_setting('server_version_num')::int       as version,
       current_setting('server_version')                as version_text,
       pg_encoding_to_char(d.encoding)                  as encoding,
       concat_ws('/', s.system_identifier, d.oid,
                 extract(epoch from pg_postmaster_start_time())) as instance,
       concat_ws('/', s.system_identifier, d.datname)   as identity,
       r.rolsuper                                       as superuser,
       has_database_privilege(d.oid, 'create')          as may_create,
       pg_is_in_recovery()                              as standby,
       current_setting('max_connections')::int          as max_connections,
       current_setting('default_tablespace')            as tablespace
  from pg_control_system() s, pg_database d, pg_roles r
 where d.datname = current_database()
   and r.rolname = current_user
