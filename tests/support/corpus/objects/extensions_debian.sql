-- Extensions of Debian's contrib packages, with data in a relation that belongs to one.
create extension hstore;
create extension citext;
create extension pg_trgm;
create schema uses_contrib;
create table uses_contrib.t (id int primary key, h hstore, c citext unique, cs citext[]);
insert into uses_contrib.t values (1, 'a=>1,b=>NULL', 'Mixed', '{A,a}'), (2, '', 'other', null);
create index on uses_contrib.t using gin (c gin_trgm_ops);
