-- printing
-- Why temporary views cannot be made here; null if they can. A superuser's session can keep
-- event triggers from firing, unless they are to fire always.
select case
         when pg_is_in_recovery() then 'the target is a standby'
         when not has_database_privilege(current_database(), 'temporary')
         then format('%I may not make temporary views on the target'
                     ' (GRANT TEMPORARY ON DATABASE %I TO %I)',
                     current_user, current_database(), current_user)
         when exists (select from pg_event_trigger
                       where evtenabled in ('A', 'R')
                          or evtenabled = 'O' and current_setting('is_superuser') = 'off')
         then 'event triggers of the target would fire'
       end as obstacle
