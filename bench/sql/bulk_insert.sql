-- One transaction of :rows new rows.
insert into bulk select n, md5(n::text), n % 7 from generate_series(1, :rows) n;
