-- Owners, grants and default privileges, to roles that every server of the tests has.
create schema granted authorization corpus_owner;
set search_path = granted;
grant usage on schema granted to corpus_reader, public;
grant create on schema granted to corpus_writer with grant option;

create table t (id serial primary key, a text, b text, secret text);
alter table t owner to corpus_owner;
grant select, insert on t to corpus_reader;
grant all on t to corpus_writer with grant option;
grant select (a, b), update (b) on t to "Odd ""Rôle"" %s; --";
grant references (id) on t to public;
set role corpus_writer;
grant select on t to "Odd ""Rôle"" %s; --";
reset role;
insert into t (a) values ('a');
create table nobody (a int);
revoke all on nobody from postgres;
insert into nobody values (1);
create table owner_lost_some (a int);
alter table owner_lost_some owner to corpus_owner;
revoke delete, truncate on owner_lost_some from corpus_owner;
create table nobody_owned (a int);
alter table nobody_owned owner to corpus_owner;
revoke all on nobody_owned from corpus_owner;

create sequence s;
grant usage, select on sequence s to corpus_reader;
alter sequence s owner to corpus_owner;
create view v as select * from t;
alter view v owner to corpus_owner;
grant select on v to public;
create materialized view m as select a from t;
alter materialized view m owner to corpus_owner;
grant select on m to corpus_reader;

create function f(int) returns int language sql return 1;
revoke execute on function f(int) from public;
grant execute on function f(int) to corpus_reader;
create function g() returns int language sql security definer return 1;
alter function g() owner to "Odd ""Rôle"" %s; --";
create procedure p() language sql as '';
alter procedure p() owner to corpus_owner;
create aggregate agg(int) (sfunc = int4pl, stype = int);
grant execute on function agg(int) to corpus_reader with grant option;
create type mood as enum ('ok');
revoke usage on type mood from public;
alter type mood owner to corpus_owner;
create domain d as int;
grant usage on domain d to corpus_reader;
create foreign data wrapper granted_wrapper;
grant usage on foreign data wrapper granted_wrapper to corpus_reader;
create server granted_server foreign data wrapper granted_wrapper;
grant usage on foreign server granted_server to corpus_owner;
alter server granted_server owner to corpus_owner;

create table parts (id int) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
alter table parts_1 owner to corpus_owner;
grant select on parts to corpus_reader;
grant insert on parts_1 to corpus_writer;
insert into parts values (1);

alter default privileges in schema granted grant select on tables to corpus_reader;
alter default privileges for role corpus_owner in schema granted grant all on sequences to corpus_writer;
alter default privileges for role corpus_owner revoke execute on functions from public;
alter default privileges grant usage on types to corpus_reader with grant option;
alter default privileges for role corpus_owner grant usage on schemas to corpus_reader;
create table made_after (a int);

grant usage on language plpgsql to corpus_reader;
revoke all on schema public from public;
grant usage, create on schema public to corpus_reader;
create table public.in_public (a int);
alter table public.in_public owner to corpus_owner;
grant select on pg_catalog.pg_authid to corpus_reader;
revoke execute on function pg_catalog.pg_sleep(float8) from public;
