-- Every built-in type at its limits; one relation per family, each with a key.
create schema extremes;
set search_path = extremes;
set timezone = 'UTC';

create table numbers (
    id int primary key, s smallint, i int, b bigint, n numeric, n2 numeric(10, 3), r real, d float8,
    m money, bool bool, o oid, o8 xid8, x xid, c cid, lsn pg_lsn, n_neg numeric(5, -2), n_frac numeric(3, 5)
);
insert into numbers values
    (1, -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', true,
     0, '0', '0', '0', '0/0', 99999, 0.00999),
    (2, 32767, 2147483647, 9223372036854775807, 'Infinity', -9999999.999, 'Infinity', 'Infinity', '92233720368547758.07',
     false, 4294967295, '18446744073709551615', '4294967295', '4294967295', 'FFFFFFFF/FFFFFFFF', -12345, -0.00001),
    (3, 0, 0, 0, '-Infinity', 0.000, '-Infinity', '-Infinity', 0, null, 1, '1', '1', '1', '0/1', 0, 0),
    (4, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    (5, 1, 1, 1, 1.0, 1, '-0', '-0', 0.01, true, 2, '2', '2', '2', '16/B374D848', 1, 0),
    (6, -1, -1, -1, 1.00, 1.000, '1e-45', '5e-324', -0.01, false, 3, '3', '3', '3', '0/FFFFFFFF', -100, 0),
    (7, 1, 1, 1, 1.000000000000000000000000000000, 0.001, '3.4028235e38', '1.7976931348623157e308', 1, true, 4, '4',
     '4', '4', '1/0', 100, 0.00001),
    (8, 2, 2, 2, 0.0, 0.1, '0.1', '0.1', 2, true, 5, '5', '5', '5', '2/0', 0, 0),
    (9, 2, 2, 2, 0, 0.2, '1.17549435e-38', '2.2250738585072014e-308', 2, true, 5, '5', '5', '5', '2/0', 0, 0),
    (10, 2, 2, 2, (repeat('9', 100000))::numeric, 0, 0, '0.30000000000000004', 2, true, 5, '5', '5', '5', '2/0', 0, 0),
    (11, 2, 2, 2, ('0.' || repeat('0', 16000) || '1')::numeric, 0, 0, '123456789.12345678', 2, true, 5, '5', '5', '5',
     '2/0', 0, 0),
    (12, 2, 2, 2, ('-' || repeat('12345678', 16000) || '.' || repeat('87654321', 2000))::numeric, 0, 16777217, 1e22, 2,
     true, 5, '5', '5', '5', '2/0', 0, 0),
    (13, 2, 2, 2, 1e131071, 0, 0, 0, 2, true, 5, '5', '5', '5', '2/0', 0, 0),
    (14, 2, 2, 2, 10000, 0, 0, 0, 2, true, 5, '5', '5', '5', '2/0', 0, 0),
    (15, 2, 2, 2, 1e16383::numeric * 0 + 0.0000, 0, 0, 0, 2, true, 5, '5', '5', '5', '2/0', 0, 0);

create table times (
    id int primary key, d date, t time, t0 time(0), tz timetz, ts timestamp, ts3 timestamp(3), tstz timestamptz,
    i interval, i0 interval(0), iy interval year to month
);
insert into times values
    (1, '-infinity', '00:00', '00:00', '00:00+15:59:59', '-infinity', '-infinity', '-infinity', '0', '0', '0'),
    (2, 'infinity', '24:00:00', '24:00', '24:00:00-15:59:59', 'infinity', 'infinity', 'infinity',
     '178000000 years', '1 second', '-178000000 years'),
    (3, '4713-01-01 BC', '23:59:59.999999', '23:59:59', '12:00:00.000001+05:45', '4713-01-01 00:00:00 BC',
     '0001-12-31 23:59:59.999 BC', '4713-01-01 00:00:00+00 BC', '-178000000 years -11 mons', '-1 second', '1 mon'),
    (4, '5874897-12-31', '12:34:56.789012', '12:34:57', '00:00:00-00:00:01', '294276-12-31 23:59:59.999999',
     '294276-12-31 23:59:59.999', '294276-12-31 23:59:59.999999+00', '2147483647 mons 2147483646 days 2562047788:00:54.775807',
     '1 day', '11 mons'),
    (5, '0001-01-01', '00:00:00.000001', '00:00:01', '01:02:03+04', '0001-01-01', '1969-12-31 23:59:59.999',
     '2024-02-29 23:59:60+00', '-2147483648 mons -2147483648 days -2562047788:00:54.775807', '-1 day', '-1 mon'),
    (6, '2024-02-29', '01:00', '01:00', '01:00-12', '2000-01-01 00:00:00.000001', '2000-01-01', 'epoch',
     '1 mon -30 days 24:00:00', '00:00:59', '1 year'),
    (7, null, null, null, null, null, null, null, null, null, null),
    (8, '1999-12-31', '01:00', '01:00', '01:00+00', '1999-12-31 23:59:59.999999', '1999-12-31', '2038-01-19 03:14:08+00',
     '30 days', '1', '0'),
    (9, '2000-01-01', '01:00', '01:00', '01:00+00', '2000-01-01', '2000-01-01', '2000-01-01+00', '1 mon', '1', '0');

create table texts (
    id int primary key, t text, v varchar, v3 varchar(3), c char, c5 char(5), n name, ch "char"
);
insert into texts values
    (1, '', '', '', '', '', '', ''),
    (2, null, null, null, null, null, null, null),
    (3, '\N', '\N', '\N', '\', '\N', '\N', '\'),
    (4, E'\t', E'\n', E'\r', E'\t', E'\r\n', E'a\tb', E'\t'),
    (5, E'\\.', E'\\.\n', E'\\.', '.', E'\\.', E'\\.', '.'),
    (6, E'line one\nline two\r\nline three\rline four\\n', E'\b\f\v\a', ' a ', ' ', ' a ', ' a ', ' '),
    (7, repeat('é', 10000), repeat('x', 2713), '☺☺☺', '😀', '😀é', repeat('é', 31), '~'),
    (8, '"quoted", ''single'' $$dollar$$ %s {} $1 :x', 'NULL', 'nul', 'N', 'null', 'null', '"'),
    (9, E'e\u0301 \u00e9 \u200d \ufeff \ufffe \uffff \U0010ffff \U0001F468\u200D\U0001F469', 'ß', 'ẞ', 'İ', 'ı', 'ﬁ', E'\001'),
    (10, E'\x01\x02\x03\x1f\x7f', E'trailing space   ', '  ', '', 'a    ', 'A', 'A');

-- every code point there is, one row each of the first plane, a thousand per row above it
create table unicode (id int primary key, t text);
insert into unicode select i, chr(i) from generate_series(1, 65535) i where i not between 55296 and 57343;
insert into unicode
select g, (select string_agg(chr(c), '') from generate_series(g, least(g + 4095, 1114111)) c)
  from generate_series(65536, 1114111, 4096) g;
create table unicode_arrays (id int primary key, ts text[], j jsonb, x name);
insert into unicode_arrays
select id / 64, array_agg(t order by id), to_jsonb(array_agg(t order by id)), min(t)
  from unicode where id < 65536 group by id / 64;

create table bytes (id int primary key, b bytea, bi bit(9), vb varbit, bs bytea[]);
insert into bytes
select i, decode(lpad(to_hex(i), 2, '0'), 'hex'), i::bit(9), substring(i::bit(9) from 1 for i % 10),
       array[decode(lpad(to_hex(i), 2, '0'), 'hex'), '', null]
  from generate_series(0, 255) i;
insert into bytes values
    (1000, (select string_agg(decode(lpad(to_hex(i), 2, '0'), 'hex'), '') from generate_series(0, 255) i), null, '', '{}'),
    (1001, '', B'000000000', B'', null), (1002, null, null, null, null),
    (1003, decode(repeat('00', 100000), 'hex'), B'111111111', repeat('10', 50000)::varbit, null),
    (1004, '\x5c2e0a', null, null, null), (1005, '\x5c4e', null, null, null);

create table json (id int primary key, j json, b jsonb, p jsonpath, js json[], bs jsonb[]);
insert into json values
    (1, '{"a": 1, "a":2 ,  "b" : [ ] }', '{"a": 1, "a": 2}', '$', '{}', '{}'),
    (2, E' {\n\t"x" : 1.0E+2 }\r\n', '1.0e+2', 'strict $.a[*] ? (@.b > 1.50)', null, null),
    (3, '"\u00e9\ud83d\ude00\n\"\\\/"', '"\u00e9\ud83d\ude00\n\"\\\/"', '$."a b"', array['{"k":  1}'::json, null],
     array['{"k":  1}'::jsonb, 'null', null]),
    (4, 'null', 'null', '$.**{2 to last}', null, null),
    (5, null, null, null, null, null),
    (6, '""', '""', '$[last]', null, null),
    (7, '1.00', '1.00', '1.5e3 + $x', null, null),
    (8, '[[[[[[]]]]]]', '[[[[[[]]]]]]', '$.a like_regex "^b.*\\d" flag "i"', null, null),
    (9, '{"": {"": []}}', '{"": {"": [1e-100, 12345678901234567890123456789.123456789]}}', '$.datetime()', null, null),
    (10, ('[' || repeat('1,', 50000) || '1]')::json, ('[' || repeat('"x",', 50000) || '1]')::jsonb, null, null, null);

create table networks (id int primary key, i inet, c cidr, m macaddr, m8 macaddr8, u uuid);
insert into networks values
    (1, '0.0.0.0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', '00000000-0000-0000-0000-000000000000'),
    (2, '255.255.255.255/0', '255.255.255.255/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff',
     'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (3, '::', '::/0', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'),
    (4, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1', '2001:db8::/32', null, null, null),
    (5, '::ffff:10.0.0.1/96', '10/8', null, null, null),
    (6, null, null, null, null, null);

create table shapes (
    id int primary key, p point, l line, s lseg, b box, path path, g polygon, c circle, ps point[], bs box[]
);
insert into shapes values
    (1, '(0,-0)', '{1,-1,0}', '[(0,0),(0,0)]', '(1,1),(0,0)', '[(0,0)]', '((0,0))', '<(0,0),0>', '{}', '{}'),
    (2, '(NaN,Infinity)', '{0,1,NaN}', '[(1e308,-1e308),(5e-324,0)]', '(Infinity,NaN),(-Infinity,0)',
     '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(1,-1),1e308>', array['(1,2)'::point, null],
     '{(1,1),(0,0);(2,2),(1,1)}'),
    (3, '(0.1,0.30000000000000004)', '{0.1,0.2,0.3}', '[(0.1,0.2),(0.3,0.4)]', '(0.3,0.4),(0.1,0.2)',
     '[(0.1,0.2),(0.3,0.4)]', '((0.1,0.2),(0.3,0.4),(0.5,0.6))', '<(0.1,0.2),0.3>', null, null),
    (4, null, null, null, null, null, null, null, null, null);
insert into shapes (id, g, path)
select 5, ('(' || string_agg(format('(%s,%s)', i, -i), ',') || ')')::polygon,
       ('[' || string_agg(format('(%s,%s)', i, -i), ',') || ']')::path from generate_series(1, 5000) i;

create table searched (id int primary key, v tsvector, q tsquery, vs tsvector[]);
insert into searched values
    (1, '', '', '{}'),
    (2, '''a b'':1A,2B,3C,4D ''it''''s'':16383 ''\\'':5', '''it''''s'' & ! ( ''a'' | ''b'':*AB )', array[''::tsvector, 'a:1']),
    (3, 'plain words without positions', 'a <-> b <2> c', null),
    (4, null, null, null),
    (5, '''☺'':1 ''ünï''', '''☺'' <0> ''é''', null);
insert into searched (id, v) select 6, array_to_tsvector(array_agg('lexeme' || i)) from generate_series(1, 20000) i;

create table arrays (
    id int primary key, i int[], i2 int[][], t text[], f float8[], n numeric[], d date[], ts timestamptz[], b bool[],
    u uuid[], j jsonb[], iv interval[], c char(3)[], v varchar(2)[]
);
insert into arrays values
    (1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '{NULL}', '{{NULL,1},{2,NULL}}', '{NULL,"NULL","",null," "}', '{NaN,Infinity,-Infinity,-0,NULL}', '{NaN,1.00,NULL}',
     '{infinity,-infinity,"4713-01-01 BC"}', '{infinity,"294276-12-31 00:00:00+00",NULL}', '{t,f,NULL}',
     '{00000000-0000-0000-0000-000000000000,NULL}', '{"{\"a\": \"b\"}",NULL,"null"}', '{"1 mon -1 day",NULL}', '{a,NULL,"b c"}',
     '{ab,"",NULL}'),
    (3, '[5:7]={1,2,3}', '[-1:0][2:3]={{1,2},{3,4}}', E'{"a,b","c\\"d","e\\\\f","{g}","h\ni"}', null, null, null, null, null,
     null, null, null, null, null),
    (4, '[-2147483648:-2147483647]={1,2}', '{{{{{{1}}}}}}', '[0:0]={x}', null, null, null, null, null, null, null, null, null,
     null);
insert into arrays (id, i, t)
select 5, array_agg(i), array_agg(md5(i::text)) from generate_series(1, 100000) i;

create table ranges (
    id int primary key, i int4range, b int8range, n numrange, d daterange, t tsrange, tz tstzrange, im int4multirange,
    nm nummultirange, dm datemultirange, tm tstzmultirange, ia int4range[], ima int4multirange[]
);
insert into ranges values
    (1, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{empty,"(,)",NULL}', '{"{}",NULL}'),
    (3, '[-2147483648,2147483647)', '[-9223372036854775808,9223372036854775807)', '[NaN,NaN]', '[-infinity,infinity]',
     '[-infinity,infinity)', '(-infinity,"2000-01-01 00:00:00+00"]', '{[1,2),[3,4),[5,)}', '{(,1.10],[1.20,1.20],(1.3,)}',
     '{[-infinity,infinity)}', '{["2000-01-01 00:00:00+00",infinity]}', '{"[1,2)","[3,4)"}', '{"{[1,2),[3,4)}"}'),
    (4, null, null, null, null, null, null, null, null, null, null, null, null),
    (5, '[1,)', '(,1)', '[-Infinity,Infinity]', '[2000-01-01,)', null, null, null, null, null, null, null, null);

-- names of objects: their numbers differ from server to server, what they mean must not
create type colour as enum ('red', 'green');
create function pick(int) returns int language sql return 1;
create function pick(text) returns int language sql return 2;
create operator <%%> (leftarg = int, rightarg = int, function = int4pl);
create text search configuration conf (copy = simple);
create text search dictionary dict (template = simple);
create collation coll from "C";
create table registered (
    id int primary key, c regclass, t regtype, p regproc, pr regprocedure, o regoper, os regoperator, co regconfig,
    d regdictionary, n regnamespace, r regrole, l regcollation, cs regclass[], ts regtype[]
);
create function only_one() returns int language sql return 3;
insert into registered values
    (1, 'extremes.registered', 'extremes.colour', 'extremes.only_one', 'extremes.pick(int)', 'extremes.<%%>',
     'extremes.<%%>(int,int)', 'extremes.conf', 'extremes.dict', 'extremes', 'corpus_owner', 'extremes.coll',
     '{extremes.numbers,extremes.times,NULL}', '{int4,extremes.colour,extremes.colour[],NULL}'),
    (2, 'pg_catalog.pg_class', 'timestamp with time zone', 'pg_catalog.now', 'abs(int)', 'pg_catalog.||/', '+(int,int)',
     'simple', 'simple', 'pg_catalog', 'postgres', '"C"', '{}', '{}'),
    (3, '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '{-}', '{-}'),
    (4, null, null, null, null, null, null, null, null, null, null, null, null, null);

create table transactions (id int primary key, x txid_snapshot, p pg_snapshot, v int2vector, o oidvector, t tid, ts tid[]);
insert into transactions values
    (1, '1:1:', '1:1:', '', '', '(0,0)', '{}'),
    (2, '10:20:11,13,19', '10:20:11,13,19', '1 -1 32767', '0 1 4294967295', '(4294967295,65535)', '{"(1,1)",NULL}'),
    (3, null, null, null, null, null, null),
    (4, '9223372036854775806:9223372036854775807:', '1:9223372036854775807:', '0', '0', '(1,2)', null);

-- what users make of types, in each other
create domain positive as int check (value > 0);
create type inner_pair as (a int, b text, c float8);
create type outer_pair as (one inner_pair, many inner_pair[], colour colour, colours colour[], p positive);
create domain checked_pair as inner_pair check ((value).a is distinct from 0);
create type float_range as range (subtype = float8);
create type pair_range as range (subtype = inner_pair);
create table made (
    id int primary key, c colour, cs colour[], p positive, ps positive[], i inner_pair, o outer_pair, os outer_pair[],
    k checked_pair, ks checked_pair[], f float_range, fm float_multirange, fs float_range[], pr pair_range, w numbers, ws numbers[]
);
insert into made (id) values (0);
insert into made values
    (1, 'red', '{green,NULL,red}', 1, '{1,NULL,2147483647}', row(1, E'a"b\\c,(d)\n', 'NaN'),
     row(row(null, '', '-0'), array[row(1, null, null), null]::inner_pair[], 'green', '{red,NULL}', 5),
     array[row(null, '{}', null, '{}', null), null]::outer_pair[], row(1, null, 'Infinity'),
     array[row(2, 'x', null), null]::inner_pair[]::checked_pair[], '[1.5,Infinity)', '{[1,2],[3,NaN)}', '{empty,"[1,2)",NULL}',
     pair_range(row(1, 'a', 0), row(1, 'b', 0)), (select whole from numbers whole where id = 2),
     (select array_agg(whole order by id) from numbers whole where id < 6)),
    (2, null, '{}', null, '{}', row(null, null, null), null, '{}', null, '{}', 'empty', '{}', '{}', 'empty', null, '{}'),
    (3, 'green', '[3:4]={red,green}', null, null, row(2147483647, repeat('x', 20000), 'Infinity'), null, null, null, null, null,
     null, null, null, null, null);
