-- What pg_dump calls the properties of this database: settings in it, limit, comment, grants.
with mine as (
select d.oid, d.datconnlimit, d.datacl, d.datdba
  from pg_database d
 where d.datname = current_database()
)
select 'setting' as kind, coalesce(r.rolname, '')::text as role,
       split_part(c.setting, '=', 1) as name,
       substr(c.setting, strpos(c.setting, '=') + 1) as value
  from mine
  join pg_db_role_setting s on s.setdatabase = mine.oid
 cross join unnest(s.setconfig) c(setting)
  left join pg_roles r on r.oid = s.setrole
union all
select 'limit', '', '', datconnlimit::text from mine where datconnlimit >= 0
union all
select 'comment', '', '', d.description
  from mine
  join pg_shdescription d on d.objoid = mine.oid and d.classoid = 'pg_database'::regclass
union all
select 'label', '', l.provider, l.label
  from mine
  join pg_shseclabel l on l.objoid = mine.oid and l.classoid = 'pg_database'::regclass
union all
-- without the owner's privileges, who has all of them anyway
select case when a.is_grantable then 'option' else 'grant' end,
       coalesce(r.rolname, ''), a.privilege_type, ''
  from mine
 cross join aclexplode(coalesce(datacl, acldefault('d', datdba))) a
  left join pg_roles r on r.oid = a.grantee
 where a.grantee <> datdba
