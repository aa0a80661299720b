-- Inheritance: each row belongs to one relation, and must arrive there, once.
create schema families;
set search_path = families;

create table places (id serial primary key, name text not null, area numeric default 1 check (area > 0));
create table cities (population bigint, check (population >= 0)) inherits (places);
create table capitals (country char(2)) inherits (cities);
alter table capitals add constraint named check (name <> 'nowhere');
alter table cities alter area set default 2;
alter table capitals alter area set default 3, add primary key (id);
create index on cities (population);
insert into places (name) values ('field'), ('wood'), ('field');
insert into cities (name, population) values ('Delft', 100000), ('Lund', 90000);
insert into capitals (name, population, country) values ('Paris', 2000000, 'fr'), ('Rome', 2800000, 'it');

-- two parents, merged columns, its own column that merges with an inherited one
create table named (id int, name text default 'named', tag text);
create table priced (id int, price numeric(10, 2), check (price > 0) no inherit);
create table things (name text default 'thing', extra jsonb) inherits (named, priced);
insert into named values (1, 'one', null), (1, 'one', null);
insert into priced values (1, 2.50);
insert into things (id, price, tag) values (1, 2.50, 't'), (2, null, null);

-- joined and left by ALTER TABLE
create table parent (a int, b text, c date);
create table joined_late (a int, b text, c date, own int);
alter table joined_late inherit parent;
create table left_early () inherits (parent);
alter table left_early no inherit parent;
insert into parent values (1, 'p', '2001-01-01');
insert into joined_late values (2, 'j', '2002-02-02', 5);
insert into left_early values (3, 'l', '2003-03-03');

-- a column dropped from the parent only, then local in the child; not null added to one
create table dropper (a int, b int, c int);
create table kept () inherits (dropper);
insert into dropper values (1, 2, 3);
insert into kept values (4, 5, 6);
alter table only dropper drop column b;
alter table kept alter a set not null;
alter table dropper add check (c > 0) not valid;

-- a diamond
create table top (id int primary key, a text);
create table middle_one (b text) inherits (top);
create table middle_two (c text) inherits (top);
create table bottom (d text) inherits (middle_one, middle_two);
insert into top values (1, 'top');
insert into middle_one values (2, 'one', 'b');
insert into middle_two values (3, 'two', 'c');
insert into bottom (id, a, b, c, d) values (4, 'bottom', 'b', 'c', 'd');
