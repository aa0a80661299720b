-- Views, and what leans on them.
create schema seen;
set search_path = seen;

create table base (id int primary key, a text, b int, at timestamptz default now());
insert into base select i, 'a' || i, i % 4 from generate_series(1, 40) i;

create view simple as select id, a from base where b > 1;
create view renamed (one, "two 2", "select") as select id, a, b from base;
create view on_view as select one, count(*) over () as n from renamed;
create view barrier with (security_barrier) as select * from base where b <> 2;
create view invoker with (security_invoker = true) as select * from base;
create view checked as select * from base where b = 1 with local check option;
create view checked_more as select * from checked where id < 30 with cascaded check option;
create view with_default as select id, a, b from base;
alter view with_default alter b set default 2;
create view complicated as
    with recursive up (n) as (values (1) union all select n + 1 from up where n < 5),
    summed as materialized (select b, sum(id) filter (where id > 3) as s from seen.base group by rollup (b))
    select u.n, s.s, rank() over w as r, array(select a from seen.base x where x.b = u.n order by 1) as list,
           case when u.n > 2 then 'big' else $q$it's$q$ end as size, s.*::text as whole,
           l.x, extract(epoch from interval '1 day') as e
      from up u left join summed s on s.b = u.n
      cross join lateral (select u.n * 2 as x) l
    window w as (order by u.n desc nulls last);
create recursive view countdown (n) as values (5) union all select n - 1 from countdown where n > 0;
create view grouped as select id, a, b, at from base group by id;
create view no_columns as select;
create view lateral_srf as select b.id, j.* from base b, jsonb_to_record('{"x": 1}') as j(x int);
create view "Odd ""view"" %s" as select 1 as "a ""b"" %s", E'\\x' as "back\slash", U&'\+01F600' as "☺";
create view star as select * from base;
alter table base add column added int default 9;
create view on_function as select * from generate_series(1, 3) with ordinality as g(v, o);
create view tablesampled as select id from base tablesample system (50) repeatable (1);
create view joined as select * from base join (select id, b as bb from base) j using (id) ;

-- two views that name each other
create view circle_one as select 1 as a;
create view circle_two as select a from circle_one;
create or replace view circle_one as select 1 as a where exists (select from seen.base);

-- a function that takes a view's row type, and a view upon that function
create function of_view(v seen.simple) returns text language sql stable as 'select v.a';
create view upon_function as select s.of_view from simple s;
create function rows_of_view() returns setof seen.simple language sql stable
    as 'select * from seen.simple';
create view upon_rows as select * from rows_of_view();
-- primary key needed by a view's GROUP BY, so the view must wait for the index
create view needs_key as select b.id, b.a, b.b, count(*) from base b group by b.id;
