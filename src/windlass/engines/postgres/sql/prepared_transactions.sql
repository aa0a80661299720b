-- Transactions of this database that were prepared and neither committed nor rolled back.
select p.gid                                            as gid,
       p.owner::text                                    as owner,
       extract(epoch from clock_timestamp() - p.prepared)::float8 as age_seconds
  from pg_prepared_xacts p
 where p.database = current_database()
 order by p.prepared
