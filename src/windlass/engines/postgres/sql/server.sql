-- The session's user and server, and the identity of this database.
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
       concat_ws('/', s.system_identifier, d.oid)       as origin,
       -- the checkpoint's is old between a promotion and the next checkpoint, when recovery's is set;
       -- a standby's own is as old as its last restart point, but its receiver knows
       greatest((select timeline_id from pg_control_checkpoint()),
                (select min_recovery_end_timeline from pg_control_recovery()),
                (select received_tli from pg_stat_wal_receiver)) as timeline,
       case (select reset_val from pg_settings where name = 'default_transaction_read_only')
           -- which a session of that database could not run without the SET
           when 'on' then coalesce(
               (select 'SET default_transaction_read_only = off; ' ||
                       case when z.setrole = 0 and z.setdatabase = 0
                            then 'ALTER ROLE ALL'
                            when z.setrole = 0
                            then format('ALTER DATABASE %I', d.datname)
                            when z.setdatabase = 0
                            then format('ALTER ROLE %I', session_user)
                            else format('ALTER ROLE %I IN DATABASE %I', session_user, d.datname)
                       end || ' RESET default_transaction_read_only'
                  from pg_db_role_setting z
                 where z.setdatabase in (0, d.oid)
                   and z.setrole in (0, to_regrole(quote_ident(session_user))::oid)
                   and exists (select from unnest(z.setconfig) c
                                where c like 'default\_transaction\_read\_only=%')
                 order by z.setrole <> 0 desc, z.setdatabase <> 0 desc
                 limit 1),
               'ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();'
               ' or where postgresql.conf, PGOPTIONS or the options of the connection set it')
           else ''
       end                                              as opened_by,
       current_setting('max_connections')::int          as max_connections,
       current_setting('default_tablespace')            as tablespace
  from pg_control_system() s, pg_database d, pg_roles r
 where d.datname = current_database()
   and r.rolname = current_user
