-- Operators, their classes and families, casts, conversions, access methods, languages, transforms.
create schema ops;
set search_path = ops;

create type complex as (r float8, i float8);
create function complex_abs(complex) returns float8 language sql immutable strict return sqrt($1.r ^ 2 + $1.i ^ 2);
create function complex_compare(complex, complex) returns int language sql immutable strict
    return (ops.complex_abs($1) > ops.complex_abs($2))::int - (ops.complex_abs($1) < ops.complex_abs($2))::int;
create function complex_add(complex, complex) returns complex language sql immutable strict
    return row($1.r + $2.r, $1.i + $2.i)::ops.complex;
create function complex_lt(complex, complex) returns bool language sql immutable strict
    return ops.complex_compare($1, $2) < 0;
create function complex_le(complex, complex) returns bool language sql immutable strict
    return ops.complex_compare($1, $2) <= 0;
create function complex_eq(complex, complex) returns bool language sql immutable strict
    return ops.complex_compare($1, $2) = 0;
create function complex_ge(complex, complex) returns bool language sql immutable strict
    return ops.complex_compare($1, $2) >= 0;
create function complex_gt(complex, complex) returns bool language sql immutable strict
    return ops.complex_compare($1, $2) > 0;
create operator + (leftarg = complex, rightarg = complex, function = complex_add, commutator = +);
create operator |<| (leftarg = complex, rightarg = complex, function = complex_lt, commutator = |>|,
    negator = |>=|, restrict = scalarltsel, join = scalarltjoinsel);
create operator |>| (leftarg = complex, rightarg = complex, function = complex_gt, commutator = |<|,
    negator = |<=|, restrict = scalargtsel, join = scalargtjoinsel);
create operator |<=| (leftarg = complex, rightarg = complex, function = complex_le, commutator = |>=|,
    negator = |>|);
create operator |>=| (leftarg = complex, rightarg = complex, function = complex_ge, commutator = |<=|,
    negator = |<|);
create operator |=| (leftarg = complex, rightarg = complex, function = complex_eq, commutator = |=|, merges);
create operator !! (rightarg = complex, function = complex_abs);

create operator family by_size using btree;
create operator class complex_by_size for type complex using btree family by_size as
    operator 1 |<|, operator 2 |<=|, operator 3 |=|, operator 4 |>=|, operator 5 |>|,
    function 1 complex_compare(complex, complex);
create operator family lonely using hash;
create operator class int_again for type int using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int, int);

create table numbers (id int primary key, c complex, n int);
insert into numbers select i, row(i, -i)::complex, i from generate_series(1, 50) i;
create index by_class on numbers (c complex_by_size);
create index by_int_class on numbers (n int_again);
create view sums as select id, c operator(ops.+) c as twice, operator(ops.!!) c as size from numbers;

create function to_complex(float8) returns complex language sql immutable strict return row($1, 0)::ops.complex;
create function to_text(complex) returns text language sql immutable strict return $1.r || '+' || $1.i || 'i';
create cast (float8 as complex) with function to_complex(float8) as assignment;
create cast (complex as text) with function to_text(complex) as implicit;
create cast (bytea as complex) with inout;
create type wrapped as enum ('a');
create cast (text as wrapped) with inout as assignment;

create conversion to_latin for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1;
create access method heap_again type table handler heap_tableam_handler;
create access method btree_again type index handler bthandler;
create table by_method (a int) using heap_again;
insert into by_method values (1), (2);
create function handle() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
create function run_inline(internal) returns void language c strict as '$libdir/plpgsql', 'plpgsql_inline_handler';
create function validate(oid) returns void language c strict as '$libdir/plpgsql', 'plpgsql_validator';
create trusted language plpgsql_again handler handle inline run_inline validator validate;
create function by_language() returns int language plpgsql_again as 'begin return 1; end';
create function from_internal(internal) returns internal language internal immutable strict as 'jsonb_subscript_handler';
create transform for complex language plpgsql_again (from sql with function from_internal(internal));
