-- A publication of everything: from then on no row of a relation without a key can be deleted.
create schema all_published;
create table all_published.keyed (id int primary key, a text);
create table all_published.keyless (a int);
insert into all_published.keyed values (1, 'a');
insert into all_published.keyless values (1), (1), (2);
create publication everything for all tables;
