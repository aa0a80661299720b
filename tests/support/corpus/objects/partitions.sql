-- Partitioned relations of every strategy, with partitions that do not look like their parent.
create schema parts;
set search_path = parts;

create table ranged (
    id bigint generated always as identity, day date not null, amount numeric(12, 2) default 0, note text,
    primary key (id, day), constraint amount_check check (amount >= 0)
) partition by range (day);
create table ranged_old partition of ranged for values from (minvalue) to ('2020-01-01');
create table ranged_2020 partition of ranged for values from ('2020-01-01') to ('2021-01-01')
    with (fillfactor = 60);
create table "ranged 2021" partition of ranged (note default 'of 2021', check (note <> 'bad'))
    for values from ('2021-01-01') to ('2022-01-01');
create table ranged_rest partition of ranged default;
create index ranged_note on ranged (note);
create unique index on ranged (day, id) include (amount);
insert into ranged (day, amount, note)
select date '2019-06-01' + i, i, case when i % 7 = 0 then null else 'n' || i end from generate_series(1, 1200) i;

create table listed (region text, n int, data jsonb) partition by list (upper(region));
create table listed_north partition of listed for values in ('NORTH', 'NORTH-EAST', null);
create table listed_south partition of listed for values in ('SOUTH');
insert into listed values ('north', 1, '{}'), (null, 2, null), ('South', 3, '[1]'), ('north-east', 4, '1');

create table hashed (id int primary key, name text) partition by hash (id);
create table hashed_0 partition of hashed for values with (modulus 3, remainder 0);
create table hashed_1 partition of hashed for values with (modulus 3, remainder 1);
create table hashed_2 partition of hashed for values with (modulus 3, remainder 2);
insert into hashed select i, 'n' || i from generate_series(1, 500) i;

-- hashed by an enum: its hash depends on object ids, so rows may belong elsewhere on the target
create type colour as enum ('red', 'green', 'blue', 'amber', 'cyan', 'magenta', 'yellow', 'black');
create table by_enum (colour colour, n int) partition by hash (colour);
create table by_enum_0 partition of by_enum for values with (modulus 2, remainder 0);
create table by_enum_1 partition of by_enum for values with (modulus 2, remainder 1);

-- two levels, with a default below and a range of several columns
create table tree (year int, month int, shop text, total numeric) partition by range (year, month);
create table tree_2020 partition of tree for values from (2020, minvalue) to (2021, minvalue)
    partition by list (shop);
create table tree_2020_a partition of tree_2020 for values in ('a');
create table tree_2020_rest partition of tree_2020 default;
create table tree_2021 partition of tree for values from (2021, 1) to (2021, maxvalue)
    partition by hash (shop);
create table tree_2021_0 partition of tree_2021 for values with (modulus 2, remainder 0);
create table tree_2021_1 partition of tree_2021 for values with (modulus 2, remainder 1);
create table tree_empty partition of tree for values from (2030, 1) to (2030, 2) partition by range (month);
insert into tree
select 2020 + i % 2, 1 + i % 12, chr(97 + i % 5), i / 3.0 from generate_series(1, 300) i
 where not (2020 + i % 2 = 2021 and 1 + i % 12 = 0);

-- attached late: another order of columns, dropped ones before others, its own names and options
create table shuffled (a int not null, b text, c timestamptz, d int default 4) partition by range (a);
create table shuffled_low (junk int, c timestamptz, more_junk text, d int, a int not null, b text);
insert into shuffled_low values (0, now(), '', 1, 1, 'gone');
alter table shuffled_low drop column junk, drop column more_junk;
alter table shuffled_low add constraint low check (a < 10), alter d set default 40;
alter table shuffled attach partition shuffled_low for values from (minvalue) to (10);
create table shuffled_high partition of shuffled for values from (10) to (maxvalue);
alter table shuffled drop column d;
alter table shuffled add column e text default 'e';
insert into shuffled values (1, 'x', '2020-01-01', 'e1'), (100, 'y', '2021-01-01', 'e2');
create table was_attached (a int not null, b text, c timestamptz, e text);
insert into was_attached values (-1, 'free', null, null);

create table split (id int, a text) partition by list (id);
create table split_1 partition of split for values in (1);
create table split_2 partition of split for values in (2);
insert into split values (1, 'one'), (2, 'two');
create index on split (a);
alter table split detach partition split_2;

-- indexes made on the parent alone and attached one by one; one partition still lacks its own
create table piecemeal (id int, a text) partition by range (id);
create table piecemeal_1 partition of piecemeal for values from (0) to (10);
create table piecemeal_2 partition of piecemeal for values from (10) to (20);
insert into piecemeal select i, 'p' || i from generate_series(0, 19) i;
create index piecemeal_whole on only piecemeal (a);
create index piecemeal_1_own on piecemeal_1 (a);
create index piecemeal_2_own on piecemeal_2 (a) with (fillfactor = 50);
alter index piecemeal_whole attach partition piecemeal_1_own;
alter index piecemeal_whole attach partition piecemeal_2_own;
create index piecemeal_half on only piecemeal (id);
create index piecemeal_1_half on piecemeal_1 (id);
alter index piecemeal_half attach partition piecemeal_1_half;
create unique index piecemeal_2_alone on piecemeal_2 (id, a);
alter table piecemeal_1 add constraint piecemeal_1_pkey primary key (id);
alter table piecemeal_2 replica identity full;

-- keys to, from and between partitioned relations
create table orders (id int, day date, primary key (id, day)) partition by range (day);
create table orders_1 partition of orders for values from ('2020-01-01') to ('2021-01-01');
create table orders_2 partition of orders for values from ('2021-01-01') to ('2022-01-01');
create table lines (
    id int, order_id int, order_day date, primary key (id),
    foreign key (order_id, order_day) references orders on delete cascade deferrable initially deferred
) partition by hash (id);
create table lines_0 partition of lines for values with (modulus 2, remainder 0);
create table lines_1 partition of lines for values with (modulus 2, remainder 1);
create table notes (order_id int, order_day date, note text, foreign key (order_id, order_day) references orders);
insert into orders select i, date '2020-01-01' + i from generate_series(1, 700) i;
insert into lines select i, i, date '2020-01-01' + i from generate_series(1, 700) i;
insert into notes select i, date '2020-01-01' + i, 'n' from generate_series(1, 700, 7) i;

create unlogged table unlogged_part (id int, a text);
insert into unlogged_part values (5, 'five');
create table mixed (id int, a text) partition by range (id);
alter table mixed attach partition unlogged_part for values from (0) to (10);

insert into by_enum select (enum_range(null::colour))[1 + i % 8], i from generate_series(1, 400) i;
