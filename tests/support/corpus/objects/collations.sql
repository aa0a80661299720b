-- Collations, and columns, indexes, types and keys that use them.
create schema sorted;
set search_path = sorted;
create collation plain from "C";
create collation "Odd ""collation"" %s" (provider = libc, locale = 'POSIX');
create collation utf (provider = libc, lc_collate = 'C', lc_ctype = 'C.utf8');
create table t (
    a text collate plain primary key, b varchar(9) collate "Odd ""collation"" %s", c text[] collate utf
);
insert into t values ('a', 'B', '{c,D,é}'), ('Z', 'y', '{}'), ('é', null, null);
create index on t (b collate utf, a collate "C");
create domain d as text collate plain;
create type pair as (a text collate plain, b d);
create table by_domain (a d primary key, p pair);
insert into by_domain values ('x', row('y', 'z')), ('X', null);
create view ordered as select a from t order by a collate utf;
create table parts (a text collate plain) partition by range (a collate utf);
create table parts_1 partition of parts for values from ('a') to ('n');
insert into parts values ('b');
