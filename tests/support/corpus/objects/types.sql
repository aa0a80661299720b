-- Every kind of type that a user can make, and relations that hold their values.
create schema kinds;
set search_path = kinds;

-- enum: labels out of order of creation, odd labels, and one with none
create type mood as enum ('ok', 'happy');
alter type mood add value 'sad' before 'ok';
alter type mood add value 'so-so' after 'sad';
alter type mood add value 'it''s "fine"';
alter type mood add value '';
alter type mood rename value 'happy' to 'Happy ☺';
create type nothing_yet as enum ();

-- domains: over a base type, a domain, an array, an enum, a composite, a range
create domain positive as integer constraint positive_check check (value > 0);
create domain small_positive as positive default 1 constraint below_hundred check (value < 100);
create domain code as text collate "C" not null default 'none'
    constraint code_is_upper check (value = upper(value) or value = 'none')
    constraint code_is_short check (length(value) <= 8);
create domain dirty as text;
create domain vector3 as float8[] check (array_length(value, 1) = 3);
create domain good_mood as mood check (value <> 'sad');
create type address as (street text collate "C", zip varchar(5), geo point, gone int, floor smallint);
alter type address drop attribute gone;
alter type address add attribute since date;
create domain home_address as address check ((value).zip is null or (value).zip <> '');
create type person as (name text, home address, moods mood[], lucky int4range);
create type empty_composite as ();

-- ranges, with their multiranges
create function float8_gap(float8, float8) returns float8
    language sql immutable strict parallel safe return $1 - $2;
create type float8_range as range (subtype = float8, subtype_diff = kinds.float8_gap);
create type text_range as range (
    subtype = text, collation = "C", subtype_opclass = text_pattern_ops, multirange_type_name = text_ranges
);
create domain price_range as numrange check (not isempty(value));

-- base types: with and without binary input and output, with a like type, and a shell
create type whole;
create function whole_in(cstring) returns whole language internal immutable strict as 'int4in';
create function whole_out(whole) returns cstring language internal immutable strict as 'int4out';
create function whole_receive(internal) returns whole language internal immutable strict as 'int4recv';
create function whole_send(whole) returns bytea language internal immutable strict as 'int4send';
create type whole (
    input = whole_in, output = whole_out, receive = whole_receive, send = whole_send,
    like = integer, category = 'N', preferred = false, default = '42', delimiter = ';'
);
create type words;
create function words_in(cstring) returns words language internal immutable strict as 'textin';
create function words_out(words) returns cstring language internal immutable strict as 'textout';
create type words (input = words_in, output = words_out, internallength = variable, storage = extended);
create type only_a_shell;

create table enums (id int primary key, one mood, many mood[], matrix mood[][], good good_mood);
insert into enums values
    (1, 'sad', '{ok,sad,NULL,"it''s \"fine\"",""}', '{{ok,sad},{Happy ☺,so-so}}', 'ok'),
    (2, null, '{}', null, null),
    (3, '', '[-1:1]={ok,ok,sad}', '{}', 'Happy ☺');

create table domains (
    id int primary key, a positive, b small_positive, c code, d dirty, v vector3, e positive[],
    h home_address, hs home_address[], p price_range, ps price_range[]
);
insert into domains values
    (1, 1, default, default, 'clean', '{1,2,NaN}', '{1,2,NULL}',
     row('Main', '12345', '(1,2)', 3, '2020-01-01'),
     array[row('x', '1', null, null, '-infinity')::address]::home_address[], '[1,2.50)', '{"[1,2)","(,)"}'),
    (2, null, null, 'ABC', 'unclean', null, '{}', null, null, null, null);
alter domain dirty add constraint only_clean check (value = 'clean') not valid;

create table composites (id int primary key, p person, ps person[], a address, none empty_composite);
insert into composites values
    (1, row('A "quoted", name', row('s, (t)', '1', null, null, null), '{sad,ok}', '[1,5)'),
        array[row(null, null, null, null), row('', row('', '', '(0,-0)', 0, 'infinity'), '{}', 'empty')]::person[],
        row(null, null, null, null, null), row()),
    (2, null, '{}', null, null),
    (3, row(null, null, null, null), array[null::person], row('\N', 'a\b', null, -1, '0001-01-01 BC'), null);

create table ranges (
    id int primary key, f float8_range, fs float8_multirange, t text_range, ts text_ranges, ta text_range[]
);
insert into ranges values
    (1, '[1.5,NaN)', '{[1,2),[3,4)}', '["a, b","c""d")', '{[a,b),["",""]}', '{"[a,b)","(,)",empty,NULL}'),
    (2, 'empty', '{}', '(,)', '{(,)}', '{}'),
    (3, null, null, null, null, null),
    (4, '[-Infinity,Infinity]', '{(,0),(0,)}', '["\\","\\\\"]', null, null);

create table bases (id int primary key, w whole, ws whole[], s words, ss words[], d whole default '7');
insert into bases values
    (1, '1', '{1;2;NULL}', 'hello', '{a,"b c",NULL}', default),
    (2, '-2147483648', '{}', '', '{}', null),
    (3, null, null, E'tab\t, newline\n, \\N', null, '2147483647');
