-- Each odd name is given to a schema, a relation, a column, a key, an index, a sequence, a function,
-- a type and a view; relations hold rows, so that every name goes through COPY and comparison too.
create table public.names (n int primary key, name text);
insert into public.names values
    (1, 'with space'), (2, 'with.dot'), (3, '"double"'), (4, 'it''s'), (5, '%s'), (6, '%(name)s'), (7, '{}'), (8, '{0}'),
    (9, '$1'), (10, ':name'), (11, 'Überstraße'), (12, '表'), (13, '😀'), (14, 'UPPER'), (15, 'miXed'), (16, '1leading'),
    (17, E'new\nline'), (18, E'carriage\rreturn'), (19, E'tab\t'), (20, 'back\slash'), (21, '\N'), (22, '\.'),
    (23, '''; drop table public.names; --'), (24, '"; drop table public.names; --'), (25, '/* comment'), (26, '-- comment'),
    (27, 'select'), (28, 'table'), (29, 'user'), (30, 'null'), (31, 'from'), (32, ' leading'), (33, 'trailing '), (34, ' '),
    (35, '.'), (36, '*'), (37, '?'), (38, 'a,b'), (39, 'a;b'), (40, '(a)'), (41, '[a]'), (42, 'a=b'), (43, 'a/b'), (44, 'a#b'),
    (45, '$$'), (46, '$q$'), (47, '~'), (48, '!a'), (49, 'ctid2'), (50, 'windlass'), (51, E'e\u0301'), (52, 'é'),
    (53, 'array[]'), (54, '_int4'), (55, 'None'), (56, 'NaN'), (57, '0'), (58, '&amp;<b>'), (59, 'a->b'), (60, 'a:b'),
    (61, E'\u200b'), (62, '%%'), (63, repeat('x', 63)), (64, repeat('é', 31)), (65, repeat('x', 62) || '"'),
    (66, 'pg_'), (67, '@a'), (68, '`a`'), (69, E'a\\"b'), (70, E'\x01'), (71, '"a"."b"'), (72, 'on'), (73, 'true');
do $$
declare
    i int;
    x text;
begin
    for i, x in select n, name from public.names order by n loop
        if x not in ('pg_', 'windlass') then
            execute format('create schema %I', x);
        else
            execute format('create schema %I', 'p' || x);
            x := 'p' || x;
        end if;
        execute format('create type %I.%I as enum (%L, %L)', x, left(x, 25) || ' e', left(x, 15), 'other');
        execute format('create sequence %I.%I start with %s', x, left(x, 25) || ' seq', i);
        execute format('create function %I.%I(%I int) returns int language sql immutable return 1', x, x, x);
        execute format(
            'create table %I.%I (%I int constraint %I primary key, %I text default %L constraint %I check (%I <> %L),'
            ' b int generated always as identity, g %I.%I)',
            x, x, x, left(x, 25) || ' pk', '2' || x, x, left(x, 25) || ' ck', '2' || x, 'not ' || x, x, left(x, 25) || ' e');
        execute format('insert into %I.%I values (1, default, default, %L), (%s, %L, default, null)', x, x, left(x, 15), i + 1, x);
        execute format('create index %I on %I.%I (%I, %I)', left(x, 25) || ' ix', x, x, '2' || x, x);
        execute format('create view %I.%I as select %I, %I.%I(1) as f from %I.%I', x, left(x, 25) || ' v', x, x, x, x, x);
        execute format('comment on table %I.%I is %L', x, x, x);
        execute format('comment on column %I.%I.%I is %L', x, x, '2' || x, x);
        execute format('grant select (%I) on %I.%I to corpus_reader', x, x, x);
        execute format('select nextval(%L)', format('%I.%I', x, left(x, 25) || ' seq'));
    end loop;
end
$$;

-- relations without a key, with the same odd column names in one relation
do $$
begin
    execute (select 'create table public."all of them" (' || string_agg(format('%I text', name), ', ' order by n) || ')'
               from public.names);
    execute (select 'insert into public."all of them" values (' || string_agg(format('%L', name), ', ' order by n) || ')'
               from public.names);
end
$$;
