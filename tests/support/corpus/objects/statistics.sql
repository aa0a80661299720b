-- Extended statistics objects.
create schema planned;
set search_path = planned;
create table t (a int, b int, c text, d timestamptz);
insert into t select i % 10, i % 5, 'c' || i % 3, '2020-01-01'::timestamptz + i * interval '1 day'
  from generate_series(1, 1000) i;
create statistics deps (dependencies, ndistinct) on a, b from t;
create statistics every_kind on a, b, c from t;
create statistics common (mcv) on b, c from t;
create statistics expressions on (a + b), lower(c), date_trunc('month', d) from t;
create statistics one_expression on (a * 2) from t;
create statistics "Odd ""statistics"" %s" (ndistinct) on a, c from t;
alter statistics deps set statistics 500;
alter statistics common owner to corpus_owner;
create table parts (a int, b int) partition by range (a);
create table parts_1 partition of parts for values from (0) to (100);
insert into parts select i % 100, i % 3 from generate_series(1, 300) i;
create statistics on_parent on a, b from parts;
create statistics on_part on a, b from parts_1;
create materialized view m as select a, b from t;
create statistics on_view on a, b from m;
