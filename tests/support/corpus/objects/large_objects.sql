-- Large objects: empty, sparse, of every byte, above one page and above one megabyte.
create schema blobs;
create table blobs.pointers (id int primary key, content oid);
select 1 from lo_create(500001);
select 1 from lo_from_bytea(500002, 'small');
select 1 from lo_from_bytea(500003, decode((select string_agg(lpad(to_hex(i), 2, '0'), '') from generate_series(0, 255) i), 'hex'));
select 1 from lo_from_bytea(500004, decode(repeat('00ff10', 1000), 'hex'));
select 1 from lo_from_bytea(500005, (
    select string_agg(decode(md5(i::text), 'hex'), '') from generate_series(1, 90000) i
));
select 1 from lo_create(500006);
select 1 from lo_put(500006, 3000000, 'after a hole');
select 1 from lo_from_bytea(4294967295, 'the highest oid');
select 1 from lo_from_bytea(500007, repeat('x', 2048)::bytea);
select 1 from lo_from_bytea(500008, 'owned and granted');
alter large object 500008 owner to corpus_owner;
grant select on large object 500008 to corpus_reader;
grant select, update on large object 500002 to corpus_writer with grant option;
comment on large object 500003 is 'every byte, it''s';
select lo_from_bytea(600000 + i, ('object ' || i)::bytea) from generate_series(1, 200) i;
insert into blobs.pointers select row_number() over (order by oid), oid from pg_largeobject_metadata;
