-- Materialised views: filled, never filled, upon each other, with indexes, options and owners.
create schema kept;
set search_path = kept;

create table base (id int primary key, a text, b int);
insert into base select i, 'a' || i, i % 4 from generate_series(1, 400) i;

create materialized view filled as select b, count(*) as n, sum(id) as s from base group by b;
create unique index on filled (b);
create index on filled (n, s desc) where n > 1;
create materialized view empty_yet as select * from base with no data;
create index on empty_yet (a);
create materialized view upon_filled as select f.b, f.n * 2 as twice from filled f;
create view between_them as select sum(twice) as t from upon_filled;
create materialized view a_last with (fillfactor = 70) as select * from between_them;
create materialized view "Odd ""mat view"" %s" ("col %s") as select a from base where id < 10;
create materialized view named_index as select 1 as one;
create index named_index_one on named_index (one);
alter materialized view named_index cluster on named_index_one;
create materialized view of_no_rows as select * from base where false;
create function slow_count() returns bigint language plpgsql stable as $$
begin
    return (select count(*) from kept.base);
end
$$;
create materialized view by_function as select kept.slow_count() as n;
alter materialized view filled alter n set statistics 50;

-- stale on the source: a refresh on the target gives what the source would, if it were refreshed
create table moves (a int);
insert into moves values (1);
create materialized view upon_unfilled as select a from empty_yet with no data;
