-- Publications of this database with the relations that they list.
select p.pubname::text                                  as name,
       pg_get_userbyid(p.pubowner)::text                as owner,
       p.puballtables                                   as has_all_tables,
       coalesce((to_jsonb(p) ->> 'pubviaroot')::boolean, false) as via_root,
       coalesce((select jsonb_agg(jsonb_build_array(n.nspname, c.relname) order by n.nspname, c.relname)
                   from pg_publication_rel r
                   join pg_class c on c.oid = r.prrelid
                   join pg_namespace n on n.oid = c.relnamespace
                  where r.prpubid = p.oid), '[]')       as relations
  from pg_publication p
