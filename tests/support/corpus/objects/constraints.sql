-- Keys, checks and exclusions, in every state that a constraint can be in.
create schema rules_of;
set search_path = rules_of;

create table keys (
    a int constraint keys_pk primary key with (fillfactor = 80),
    b text unique,
    c int, d int,
    constraint "keys c d" unique (c, d),
    constraint keys_late unique (d, a) deferrable initially deferred,
    constraint keys_soon unique (b, a) deferrable initially immediate
);
insert into keys select i, 'b' || i, i % 3, i from generate_series(1, 60) i;
insert into keys values (61, null, null, null), (62, null, null, null);

create table including (a int, b int, c text, d text, primary key (a) include (c, d), unique (b) include (a));
insert into including select i, i, 'c', 'd' from generate_series(1, 20) i;

create table one_null (a int, b int, unique nulls not distinct (a, b));
insert into one_null values (1, null), (null, null), (null, 1), (1, 1);

create table by_index (a int not null, b int not null);
create unique index by_index_a on by_index (a);
create unique index by_index_b on by_index (b);
alter table by_index add constraint by_index_pkey primary key using index by_index_a;
alter table by_index add constraint by_index_b unique using index by_index_b deferrable;
insert into by_index select i, i from generate_series(1, 10) i;

create table composite_key (z text collate "C", y uuid, x timestamptz, data text, primary key (z, y, x));
insert into composite_key
select chr(65 + i % 26), md5(i::text)::uuid, '2020-01-01'::timestamptz + i * interval '1 hour', 'd' || i
  from generate_series(1, 500) i;
alter table composite_key cluster on composite_key_pkey;

create table rooms (
    room int, during tsrange, who text,
    constraint no_overlap exclude using gist (during with &&) where (room = 1),
    constraint who_once exclude using btree (who with =) deferrable initially deferred,
    exclude using hash ((lower(who)) with =)
);
insert into rooms
select i, tsrange('2020-01-01'::timestamp + i * interval '1 day', '2020-01-02'::timestamp + i * interval '1 day'),
       'w' || i from generate_series(1, 10) i;

create table checks (
    a int check (a > 0), b int constraint b_even check (b % 2 = 0) no inherit, c text,
    constraint a_and_b check (a < b or b is null), constraint "odd %s ""check""" check (c <> '%s')
);
insert into checks values (1, 2, 'c'), (1, null, null);
alter table checks add constraint later check (a < 100) not valid;
alter table checks add constraint validated check (a < 200) not valid;
alter table checks validate constraint validated;

create function positive(i int) returns bool language plpgsql immutable as 'begin return i > 0; end';
create table by_function (a int check (rules_of.positive(a)));
insert into by_function values (1);

-- a key of every common type: the copy and the comparison walk along them
create table key_text (k text primary key, v int);
insert into key_text select md5(i::text), i from generate_series(1, 300) i;
insert into key_text values ('', 0), ('Ünï %s '' "', -1), (E'\\', -2), (E'new\nline', -3), ('~', -4);
create table key_uuid (k uuid primary key, v int);
insert into key_uuid select md5(i::text)::uuid, i from generate_series(1, 300) i;
create table key_numeric (k numeric primary key, v int);
insert into key_numeric select i / 3.0, i from generate_series(-100, 100) i;
insert into key_numeric values ('NaN', 0), ('Infinity', 0), ('-Infinity', 0);
create table key_float (k float8 primary key, v int);
insert into key_float values ('NaN', 0), ('Infinity', 1), ('-Infinity', 2), (0.1, 3), (1e-300, 4), (-0.0, 5);
create table key_time (k timestamptz primary key, v int);
insert into key_time select 'epoch'::timestamptz + i * interval '1 us', i from generate_series(1, 300) i;
insert into key_time values ('infinity', 0), ('-infinity', 0), ('4713-01-01 BC', 0), ('294276-12-31', 0);
create table key_bytes (k bytea primary key, v int);
insert into key_bytes select decode(md5(i::text), 'hex'), i from generate_series(1, 300) i;
insert into key_bytes values ('', 0);
create table key_bool (k bool primary key, v int);
insert into key_bool values (true, 1), (false, 0);
create table key_char (k char(5) primary key, v int);
insert into key_char values ('a', 1), ('ab  ', 2), ('', 3);
create table key_date (k date primary key, v int);
insert into key_date select date '2020-01-01' + i, i from generate_series(1, 300) i;
insert into key_date values ('infinity', 0), ('4713-01-01 BC', 0), ('5874897-12-31', 0);
create table key_interval (k interval primary key, v int);
insert into key_interval values ('1 day', 1), ('30 days 1 second', 2), ('-178000000 years', 3);
create table key_inet (k inet primary key, v int);
insert into key_inet values ('10.0.0.1', 1), ('10.0.0.0/8', 2), ('::1', 3);
create table key_range (k int4range primary key, v int);
insert into key_range values ('empty', 0), ('[1,5)', 1), ('(,)', 2);
create table key_array (k int[] primary key, v int);
insert into key_array values ('{}', 0), ('{1,2}', 1), ('{NULL}', 2), ('[0:1]={1,2}', 3);
create type size as enum ('small', 'large');
create table key_enum (k size primary key, v int);
insert into key_enum values ('large', 1), ('small', 0);
create table key_nullable (k int unique, v int);
insert into key_nullable select case when i % 50 <> 0 then i end, i from generate_series(1, 300) i;
create table key_composite_nullable (a int, b text, v int, unique (a, b));
insert into key_composite_nullable values (1, 'x', 1), (1, null, 2), (null, 'x', 3), (null, null, 4), (null, null, 5);
