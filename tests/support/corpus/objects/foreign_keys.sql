-- Foreign keys that hold: cyclic, to itself, composite, late, with every action.
create schema refs;
set search_path = refs;

create table customers (id int primary key, favourite int, name text);
create table orders (id int primary key, customer int not null references customers on delete cascade);
alter table customers add constraint favourite_order foreign key (favourite) references orders
    on update cascade on delete set null deferrable initially deferred;
begin;
insert into customers select i, i * 10, 'c' || i from generate_series(1, 50) i;
insert into orders select i * 10, i from generate_series(1, 50) i;
commit;

create table employees (
    id int primary key, boss int references employees, deputy int default null references employees (id) on delete set default deferrable
);
insert into employees values (1, null, null), (2, 1, 1), (3, 2, 3), (4, 4, null);

create table products (shop int, code text, price numeric, primary key (shop, code), unique (code, shop));
create table stock (
    id int primary key, code text, shop int, n int,
    foreign key (shop, code) references products match full on update restrict on delete no action,
    constraint swapped foreign key (code, shop) references products (code, shop) on delete set null (code)
);
insert into products select i % 3, 'p' || i, i from generate_series(1, 30) i;
insert into stock select row_number() over (), code, shop, 5 from products;
insert into stock values (1000, null, null, 0);

create table targets (a int, b int);
create unique index targets_a on targets (a);
create table pointers (a int, constraint to_index foreign key (a) references targets (a));
insert into targets values (1, 2), (2, 3);
insert into pointers values (1), (null);

-- not valid, though the rows would be
create table clean_not_valid (a int);
insert into clean_not_valid values (1);
alter table clean_not_valid add constraint never_checked foreign key (a) references targets (a) not valid;
