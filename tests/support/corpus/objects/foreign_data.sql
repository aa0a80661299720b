-- Foreign data: a wrapper without a handler, so its relations have a definition but no rows.
create schema abroad;
set search_path = abroad;
create foreign data wrapper dummy options (debug 'true', "odd %s" 'it''s');
create server there type 'some' version '1.2' foreign data wrapper dummy options (host 'h', port '1');
create server "Odd ""server"" %s" foreign data wrapper dummy;
create user mapping for public server there options (user 'u');
create user mapping for corpus_owner server there options (user 'x', password 'not a real one');
create foreign table remote (
    id int options (column_name 'ID') not null, a text collate "C" default 'x', b int generated always as (id * 2) stored,
    check (id > 0)
) server there options (schema_name 's', table_name 't');
alter foreign table remote owner to corpus_owner;
grant select on remote to corpus_reader;
create table near (id int, a text);
insert into near values (1, 'near');
create foreign table child () inherits (near) server there;
create table parts (id int, a text) partition by range (id);
create table parts_near partition of parts for values from (0) to (10);
create foreign table parts_far partition of parts for values from (10) to (20) server there;
insert into parts_near values (1, 'one');
create view upon as select * from remote;
