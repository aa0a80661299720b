-- Every access method and option of an index, and indexes that something else leans on.
create schema idx;
set search_path = idx;

create table documents (
    id int, title text, body text, tags text[], data jsonb, at timestamptz, place point, span int4range,
    address inet, vec tsvector, n numeric, flag bool
);
insert into documents
select i, 'Title ' || i, repeat('word' || i % 10 || ' ', 20), array['t' || i % 5, 'x'], jsonb_build_object('k', i),
       '2020-01-01'::timestamptz + i * interval '1 minute', point(i, -i), int4range(i, i + 5),
       ('10.0.0.' || i % 250)::inet, to_tsvector('simple', 'word' || i), i / 7.0, i % 2 = 0
  from generate_series(1, 1000) i;

create index on documents (id);
create unique index one_id on documents (id) include (title, at);
create index descending on documents (at desc nulls last, n asc nulls first, id desc);
create index hashed on documents using hash (title);
create index in_tags on documents using gin (tags) with (fastupdate = off, gin_pending_list_limit = 128);
create index in_data on documents using gin (data jsonb_path_ops);
create index in_words on documents using gin (to_tsvector('english', body));
create index in_space on documents using gist (place, span) with (buffering = off, fillfactor = 75);
create index in_time on documents using brin (at, n) with (pages_per_range = 4, autosummarize = on);
create index in_time_multi on documents using brin (at timestamptz_minmax_multi_ops (values_per_range = 16));
create index in_quad on documents using spgist (place);
create index in_kd on documents using spgist (place kd_point_ops);
create index in_nets on documents using gist (address inet_ops);
create index in_vec on documents using gist (vec tsvector_ops (siglen = 100));
create index for_like on documents (title text_pattern_ops, body collate "C" text_pattern_ops);
create index collated on documents (title collate "POSIX" desc);
create index partial on documents (at) where flag and n > 10 and title <> 'it''s';
create index expressions on documents ((lower(title)), (id % 10), ((data ->> 'k')::int) desc);
create unique index partial_unique on documents (lower(title)) where flag;
create unique index no_nulls_distinct on documents (id, flag) nulls not distinct;
create index sparse on documents (n) with (fillfactor = 50, deduplicate_items = off);
create index "Odd ""index"" %s" on documents (id, title);
create index everything on documents ((documents.* is null));

alter index expressions alter column 1 set statistics 500;
alter index expressions alter column 3 set statistics 0;
alter table documents cluster on descending;

create function normal(text) returns text language sql immutable strict parallel safe
    return lower(trim($1));
create index by_function on documents (idx.normal(title));

create table replicated (a int not null, b int);
create unique index replicated_key on replicated (a);
alter table replicated replica identity using index replicated_key;
insert into replicated values (1, 2);

create table no_index (a int);
create table toasted (id int, t text);
insert into toasted
select i, (select string_agg(md5((i * 1000 + j)::text), '') from generate_series(1, 300) j)
  from generate_series(1, 20) i;
create index on toasted (md5(t));
