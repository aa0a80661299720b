-- Rows that break a foreign key or a check which was never validated.
create schema dirt;
set search_path = dirt;

create table parents (id int primary key);
insert into parents values (1), (2);
create table orphans (id int primary key, parent int);
insert into orphans values (1, 1), (2, 99), (3, null);
alter table orphans add constraint orphans_parent foreign key (parent) references parents not valid;

create table unchecked (id int primary key, a int);
insert into unchecked values (1, 1), (2, -5);
alter table unchecked add constraint positive check (a > 0) not valid;

create table children (id int primary key, parent int references orphans);
insert into children values (1, 1);
