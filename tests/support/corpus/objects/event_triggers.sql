-- Event triggers: one that counts, one that refuses, each state.
create schema events;
create table events.seen (id serial primary key, tag text, event text);
create function events.count_it() returns event_trigger language plpgsql as $$
begin
    insert into events.seen (tag, event) values (tg_tag, tg_event);
end
$$;
create function events.refuse() returns event_trigger language plpgsql as $$
begin
    raise exception 'no % while this event trigger is on', tg_tag;
end
$$;
insert into events.seen (tag, event) values ('before', 'any');
create event trigger counts on ddl_command_end when tag in ('CREATE COLLATION') execute function events.count_it();
create event trigger drops on sql_drop when tag in ('DROP COLLATION', 'DROP SERVER') execute function events.count_it();
create event trigger rewrites on table_rewrite execute function events.count_it();
alter event trigger rewrites disable;
create event trigger "Odd ""event"" %s" on ddl_command_start when tag in ('CREATE CONVERSION')
    execute function events.refuse();
alter event trigger "Odd ""event"" %s" enable always;
create event trigger on_replica on ddl_command_start when tag in ('DROP CONVERSION') execute function events.refuse();
alter event trigger on_replica enable replica;
