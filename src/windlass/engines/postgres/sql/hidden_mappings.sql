-- User mappings whose options this user may not see: pg_user_mappings shows NULL.
select m.usename                                        as role,
       m.srvname                                        as server
  from pg_user_mappings m
  join pg_foreign_server s on s.oid = m.srvid
 where m.umoptions is null
   and current_setting('is_superuser') = 'off'
   and not (m.umuser = 0 and pg_has_role(s.srvowner, 'usage'))
   and not (m.umuser <> 0 and m.usename = current_user
            and (pg_has_role(s.srvowner, 'usage') or has_server_privilege(s.oid, 'usage')))
