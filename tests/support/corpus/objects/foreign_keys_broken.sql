-- A foreign key that is marked valid, but is broken: with triggers off nobody looked.
create schema broke;
set search_path = broke;
create table parents (id int primary key);
insert into parents values (1);
create table children (id int primary key, parent int constraint children_parent references parents);
insert into children values (1, 1);
set session_replication_role = replica;
insert into children values (2, 77);
reset session_replication_role;
create table sound (id int primary key, child int constraint sound_child references children);
insert into sound values (1, 2);
