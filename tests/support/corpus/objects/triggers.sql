-- Triggers that would spoil a copy if they fired during it.
create schema trig;
set search_path = trig;

create table log (id serial primary key, what text);
create table watched (id int primary key, a text, changed timestamptz);
create function note() returns trigger language plpgsql as $$
begin
    insert into trig.log (what) values (tg_name || ' ' || tg_op || ' ' || coalesce(tg_argv[0], ''));
    return case when tg_op = 'DELETE' then old else new end;
end
$$;
create function stamp() returns trigger language plpgsql as $$
begin
    new.changed := '2099-01-01';
    new.a := new.a || '!';
    return new;
end
$$;
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception 'this trigger must not fire during a move';
end
$$;
create function drop_row() returns trigger language plpgsql as 'begin return null; end';
insert into watched select i, 'a' || i, '2020-01-01' from generate_series(1, 100) i;

create trigger stamp before insert or update on watched for each row execute function stamp();
create trigger note_each after insert or update of a, id or delete on watched for each row
    when (pg_trigger_depth() < 3) execute function note('it''s', 'a \ "b"');
create trigger note_all after insert on watched referencing new table as fresh for each statement
    execute function note();
create trigger note_update after update on watched referencing old table as "old ""rows""" new table as fresh
    for each statement execute function note();
create trigger note_truncate before truncate on watched for each statement execute function note();
create constraint trigger late after insert on watched deferrable initially deferred for each row
    execute function note();
create constraint trigger from_other after update on watched from log not deferrable for each row
    execute function note();
create trigger disabled before insert on watched for each row execute function refuse();
alter table watched disable trigger disabled;
create trigger always_on before insert on watched for each row execute function drop_row();
alter table watched enable always trigger always_on;
create trigger on_replica before insert on watched for each row execute function refuse();
alter table watched enable replica trigger on_replica;
create trigger "Odd ""trigger"" %s" before delete on watched for each row execute function note();
create trigger skip_same before update on watched for each row execute function suppress_redundant_updates_trigger();

create table all_off (id int primary key references watched, a text);
insert into all_off values (1, 'a');
create trigger off before insert on all_off for each row execute function refuse();
alter table all_off disable trigger off;

create view upon as select id, a from watched;
create trigger instead instead of insert or update or delete on upon for each row execute function note();

create table parts (id int, a text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);
create table parts_2 partition of parts for values from (100) to (200);
insert into parts values (1, 'one'), (150, 'two');
create trigger on_parts before insert on parts for each row execute function refuse();
create trigger on_part before insert on parts_1 for each row execute function refuse();
alter table parts_2 disable trigger on_parts;
create constraint trigger parts_late after insert on parts deferrable for each row execute function note();
