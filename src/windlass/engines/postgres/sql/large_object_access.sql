-- How many large objects this user may not read, and who owns those that there are.
select count(*) filter (
         where not (me.rolsuper or pg_has_role(m.lomowner, 'usage')
                    or current_setting('lo_compat_privileges')::bool
                    or exists (select from aclexplode(m.lomacl) a
                                where a.privilege_type = 'SELECT'
                                  and case a.grantee when 0 then true
                                           else pg_has_role(a.grantee, 'usage') end)))
                                                        as unreadable,
       coalesce(array_agg(distinct pg_get_userbyid(m.lomowner)::text), '{}') as owners
  from pg_largeobject_metadata m
  join pg_roles me on me.rolname = current_user
