-- An extension, in a separate schema, whose types, operators and index methods relations use.
create schema ext;
create extension vector schema ext;
create schema uses;
create table uses.items (id int primary key, e ext.vector(3), h ext.halfvec(2), s ext.sparsevec(5), es ext.vector[]);
insert into uses.items
select i, format('[%s,%s,%s]', i, -i, i / 3.0)::ext.vector, '[1,2]', '{1:1,3:2}/5', array['[1,2]'::ext.vector, null]
  from generate_series(1, 200) i;
create index on uses.items using hnsw (e ext.vector_l2_ops) with (m = 8, ef_construction = 32);
create index on uses.items using ivfflat (e ext.vector_cosine_ops) with (lists = 4);
create view uses.near as select id, e operator(ext.<->) '[1,2,3]' as distance from uses.items;
comment on extension vector is 'not as it was';
