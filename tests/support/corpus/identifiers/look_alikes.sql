-- Names that mean something to somebody: the tool, the server, the shell, or each other.
create table public.windlass (windlass int primary key, run text, state text, rows bigint);
insert into public.windlass values (1, 'run', 'done', 5);
create schema windlass_user;
create table windlass_user.windlass (id int primary key);
create table windlass_user.journal (id int primary key);
insert into windlass_user.journal values (1);
create schema "Public";
create table "Public".t (a int);
create table public.t (a int primary key);
create table public."T" (a int primary key);
insert into "Public".t values (1);
insert into public.t values (2);
insert into public."T" values (3);
-- as dotted text all three read a.b.c
create schema "a.b";
create table "a.b".c (x int);
create schema a;
create table a."b.c" (x int);
create schema "a.b.c";
create table "a.b.c"."a.b.c" ("a.b.c" int);
insert into "a.b".c values (1), (1);
insert into a."b.c" values (2);
insert into "a.b.c"."a.b.c" values (3);
-- a relation, its schema, its column, its index's schema: one name
create schema same;
create table same.same (same int primary key);
create table public.same (same int constraint same_pk primary key, "SAME" int);
insert into same.same values (1);
insert into public.same values (2, 3);
-- columns called as system columns nearly are, and as words of COPY and of SQL
create table public.columns (
    ctid2 int, oid int, "format" text, "delimiter" text, "null" text, "binary" bytea, "row" int, "value" int,
    "count" int, "md5" text, "key" int primary key, "source" text, "target" text, "number" int, "chunk" text, "rowid" int,
    "CTID" text, "t" int, "s" int, "columns" int, "hash" bigint
);
insert into public.columns (ctid2, oid, "format", "null", "binary", "key", "CTID", "columns")
select i, i, 'text', nullif('null', 'null'), '\x00', i, '(0,1)', i from generate_series(1, 30) i;
-- functions and operators in public that shadow what a session without a search path would call
create function public.md5(text) returns text language sql immutable return 'shadowed';
create function public.count(int) returns int language sql immutable return 0;
create function public.hash_record_extended(record, bigint) returns bigint language plpgsql immutable as 'begin return 0; end';
create function public.current_database() returns text language sql immutable return 'shadowed';
create operator public.= (leftarg = text, rightarg = text, function = texteq);
create table public.pg_class (oid int primary key, relname text);
insert into public.pg_class values (1, 'not the catalog');
create type public.int4 as (a int, b text);
create table public.uses_int4 (id int primary key, a public.int4);
insert into public.uses_int4 values (1, row(1, 'x'));
-- as many relations as have one long prefix: cut at 63 bytes, made names would collide
create schema long;
do $$
begin
    for i in 10..20 loop
        execute format('create table long.%I (id serial primary key, a text unique, b int check (b > 0))',
                       repeat('long_name_', 6) || i);
        execute format('insert into long.%I (a, b) values (%L, 1)', repeat('long_name_', 6) || i, i);
        execute format('create index on long.%I (b)', repeat('long_name_', 6) || i);
    end loop;
end
$$;
