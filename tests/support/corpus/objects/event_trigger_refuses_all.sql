-- An event trigger that refuses every table, view and index: it must be the last thing made.
create schema frozen;
create table frozen.kept (id int primary key, a text);
insert into frozen.kept values (1, 'a');
create view frozen.seen as select * from frozen.kept;
create function frozen.refuse() returns event_trigger language plpgsql as $$
begin
    raise exception 'frozen: % refused', tg_tag;
end
$$;
create event trigger freezes on ddl_command_start
    when tag in ('CREATE TABLE', 'CREATE INDEX', 'CREATE VIEW', 'ALTER TABLE', 'DROP TABLE')
    execute function frozen.refuse();
