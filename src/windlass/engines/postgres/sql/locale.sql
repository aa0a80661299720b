-- The default collation and character classes of this database. Newer versions have more columns
-- for it.
select case p.provider when 'i' then 'ICU ' || p.locale
                       when 'b' then p.locale
                       else d.datcollate end            as collation,
       case p.provider when 'i' then 'ICU ' || p.locale
                       when 'b' then p.locale
                       else d.datctype end              as classification,
       coalesce(p.rules, '')                            as rules,
       coalesce(p.version, '')                          as version
  from pg_database d
 cross join lateral (
         select coalesce(j ->> 'datlocprovider', 'c')   as provider,
                coalesce(j ->> 'datlocale', j ->> 'daticulocale', '') as locale,
                j ->> 'daticurules'                     as rules,
                j ->> 'datcollversion'                  as version
           from to_jsonb(d) j) p
 where d.datname = current_database()
