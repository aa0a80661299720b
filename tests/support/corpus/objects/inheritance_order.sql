-- A child whose columns stand in another order than its parent's: pg_dump writes the parent's first.
create schema order_of;
create table order_of.parent (a int, b text, c date);
create table order_of.child (c date, own int, b text, a int);
alter table order_of.child inherit order_of.parent;
insert into order_of.parent values (1, 'p', '2001-01-01');
insert into order_of.child values ('2002-02-02', 5, 'j', 2);
