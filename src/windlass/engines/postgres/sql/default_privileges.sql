-- Who grants what to whom by default, a line for each privilege.
select pg_get_userbyid(d.defaclrole)::text              as role,
       coalesce(n.nspname::text, '')                    as schema,
       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                            when 'T' then 'types' when 'n' then 'schemas'
                            else 'large objects' end    as objects,
       case a.grantee when 0 then '' else pg_get_userbyid(a.grantee)::text end as grantee,
       a.privilege_type                                 as privilege,
       a.is_grantable                                   as grantable,
       false                                            as is_usual
  from pg_default_acl d
  left join pg_namespace n on n.oid = d.defaclnamespace
 cross join lateral aclexplode(d.defaclacl) a
union all
select pg_get_userbyid(d.defaclrole)::text, '',
       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                            when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end,
       case a.grantee when 0 then '' else pg_get_userbyid(a.grantee)::text end,
       a.privilege_type, a.is_grantable, true
  from pg_default_acl d
 cross join lateral aclexplode(acldefault(case d.defaclobjtype when 'S' then 's'
                                          else d.defaclobjtype end, d.defaclrole)) a
 where d.defaclnamespace = 0
