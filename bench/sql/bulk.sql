-- A table for changes in bulk, with :rows rows.
create table bulk (id int primary key, t text, n int);
insert into bulk select n, md5(n::text), 0 from generate_series(1, :rows) n;
