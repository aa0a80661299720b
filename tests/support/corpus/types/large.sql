-- Values a thousand times smaller than the largest possible, and far larger than any buffer.
create schema large;
create table large.one (id int primary key, t text, b bytea);
alter table large.one alter t set storage external, alter b set storage external;
insert into large.one select 1, repeat('0123456789abcdef', 1310720), null;
insert into large.one
select 2, null, string_agg(decode(md5(i::text), 'hex'), '') from generate_series(1, 655360) i;
insert into large.one select 3, repeat(E'\\\t\n', 1000000), decode(repeat('00', 5000000), 'hex');
create table large.compressed (id int primary key, t text, j jsonb, a text[]);
insert into large.compressed values
    (1, repeat('x', 20000000), to_jsonb(array_fill('y'::text, array[200000])), array_fill('z'::text, array[300000]));
-- rows as wide as a page, and relations as wide as a relation can be
create table large.wide_rows (id int primary key, t text);
alter table large.wide_rows alter t set storage plain;
insert into large.wide_rows select i, repeat('x', 8000) from generate_series(1, 200) i;
do $$
begin
    execute (select 'create table large.wide (' || string_agg('c' || i || ' smallint', ', ') || ')'
               from generate_series(1, 1600) i);
    execute (select 'insert into large.wide values (' || string_agg(case when i % 9 = 0 then 'null' else i::text end, ', ')
                    || '), (' || string_agg((-i)::text, ', ') || ')' from generate_series(1, 1600) i);
end
$$;
