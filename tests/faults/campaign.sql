-- What a campaign of kills migrates: small, with one of everything that a kill could leave half done.
create schema shop;
set search_path = shop;
set synchronous_commit = off;

create table big (id int primary key, note text not null, at timestamptz);
insert into big select n, repeat(md5(n::text), 3), '2020-01-01'::timestamptz + n * interval '1 s'
  from generate_series(1, 20000) n;
create index on big (at);

create unlogged table parent (id int primary key, note text);
insert into parent select n, repeat('p', 200) from generate_series(1, 4000) n;
create unlogged table child (id serial primary key, parent int not null references parent, changes int default 0);
insert into child (parent) select 1 + n % 4000 from generate_series(1, 3000) n;
create function count_changes() returns trigger language plpgsql as
    $$begin new.changes := new.changes + 1; return new; end$$;
create trigger counting before insert on child for each row execute function count_changes();

create table keyless (a int, b text);
insert into keyless select n % 50, 'b' || n % 50 from generate_series(1, 8000) n;

create table days (id int, day date) partition by range (day);
create table days_1 partition of days for values from ('2020-01-01') to ('2020-02-01');
create table days_2 partition of days for values from ('2020-02-01') to ('2020-03-01');
insert into days select n, '2020-01-01'::date + n % 60 from generate_series(1, 3000) n;
alter table days add primary key (id, day);

create materialized view totals as select day, count(*) as n from days group by day;
create unique index on totals (day);
create sequence counter;
select setval('counter', 4711) as ignored \gset
select count(lo_from_bytea(900000 + i, decode(repeat(md5(i::text), 100), 'hex'))) as ignored
  from generate_series(1, 20) i \gset
analyze;
