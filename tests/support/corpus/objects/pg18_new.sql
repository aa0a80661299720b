-- What only 18 has: virtual columns, temporal keys, constraints not enforced or not valid.
create schema eighteen;
set search_path = eighteen;
create table virtuals (a int, b int generated always as (a * 2) virtual, c int generated always as (a + 1) stored, d text);
insert into virtuals (a, d) values (1, 'x'), (null, 'y');
create table not_enforced (a int constraint never check (a > 0) not enforced, b int);
insert into not_enforced values (-1, 1);
create table nulls (a int, b int constraint b_named not null, c int constraint own not null no inherit);
insert into nulls values (null, 1, 1);
alter table nulls add constraint a_later not null a not valid;
create table parents (id int4range, during daterange, name text, primary key (id, name));
create table bookings (id int4range, during daterange, primary key (id, during without overlaps));
create table children (
    id int4range, during daterange, parent int4range,
    primary key (id, during without overlaps),
    foreign key (parent, period during) references bookings (id, period during)
);
insert into bookings values ('[1,2)', '[2020-01-01,2021-01-01)'), ('[1,2)', '[2021-01-01,2022-01-01)');
insert into children values ('[1,2)', '[2020-02-01,2021-03-01)', '[1,2)');
create table referenced (id int primary key);
create table referring (id int references referenced not enforced);
insert into referring values (42);
create table parts (id int generated always as identity, day date, note text) partition by range (day);
create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01');
create table parts_2 partition of parts for values from ('2021-01-01') to ('2022-01-01');
insert into parts (day) values ('2020-05-05'), ('2021-05-05');
create collation built_in (provider = builtin, locale = 'C.UTF-8');
create table by_collation (a text collate built_in primary key);
insert into by_collation values ('é'), ('E');
create publication with_generated for table virtuals with (publish_generated_columns = stored);
