-- What merges start from, in a database with `events`: a copy of the rows, and a new version of every
-- tenth of them. Nothing is vacuumed while dead rows are counted.

create table original (like events);
insert into original select * from events;
alter table original add primary key (id);

create table changes (like events);
insert into changes
select id,
       happened_at,
       account_id,
       kind || '_again',
       amount + 1,
       details || '{"seen": true}',
       not billed,
       score,
       token
  from events
 where id % 10 = 0;
alter table changes add primary key (id);

alter table events set (autovacuum_enabled = off);
create extension pgstattuple;
