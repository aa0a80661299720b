-- Revokes what default privileges have granted others on the journal's schema, or on tables in it,
-- that this transaction has created: nobody else may write there.
do $$
declare
    made record;
begin
    for made in
        select c.oid::pg_catalog.regclass as name,
               case acl.grantee when 0 then 'public'
                    else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) end as grantee
          from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) acl
         where c.relnamespace = 'windlass'::pg_catalog.regnamespace
           and c.relkind = 'r'
           and c.xmin::text::bigint = pg_catalog.txid_current() % (2::bigint ^ 32)::bigint
           and acl.grantee <> c.relowner
         group by 1, 2
    loop
        execute pg_catalog.format('revoke all on table %s from %s', made.name, made.grantee);
    end loop;
    for made in
        select case acl.grantee when 0 then 'public'
                    else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) end as grantee
          from pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) acl
         where n.oid = 'windlass'::pg_catalog.regnamespace
           and n.xmin::text::bigint = pg_catalog.txid_current() % (2::bigint ^ 32)::bigint
           and acl.grantee <> n.nspowner
         group by 1
    loop
        execute pg_catalog.format('revoke all on schema windlass from %s', made.grantee);
    end loop;
end $$
