-- What this user may do about who writes to this database, and what would override its default.
select pg_has_role(current_user, d.datdba, 'usage')     as owns_database,
       (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
       pg_get_userbyid(d.datdba)::text                  as owner,
       array(select coalesce(r.rolname::text, '')
               from pg_db_role_setting s
               join pg_roles r on r.oid = s.setrole
              where s.setdatabase in (0, d.oid)
                and exists (select from unnest(s.setconfig) as one
                             where one ~ '^default_transaction_read_only=(off?|f|fa.*|no?|0)$')
              order by 1)                               as always_writing,
       array(select s.subname::text
               from pg_subscription s
              where s.subdbid = d.oid
                and s.subenabled
              order by 1)                               as subscriptions
  from pg_database d
 where d.datname = current_database()
