-- Functions and procedures, and what in a database leans on them.
create schema fn;
set search_path = fn;

create table t (id int primary key, a text, n int);
insert into t values (1, 'one', 1), (2, 'two', null);

create function plain(int, text default 'x') returns text language sql immutable as 'select $2 || $1';
create function named(a int, inout b text, out c int, variadic d int[] default '{}') language sql
    as $$ select b || a, array_length(d, 1) $$;
create function begin_atomic(a int) returns int language sql stable
begin atomic
    select max(id) from t where n = begin_atomic.a;
    select count(*)::int + begin_atomic.a from t;
end;
create function plus_one(a int) returns int immutable strict parallel safe leakproof cost 5 return a + 1;
create function many_rows(lo int, hi int) returns table (x int, y text) language plpgsql stable rows 50 as $body$
-- comment in body
--
-- Name: not a header; Type: TABLE; Schema: -; Owner: -
--
begin
    return query select i, 'it''s $$ "quoted" \ %s'::text from generate_series(lo, hi) i;
end
$body$;
create function set_of() returns setof t language sql rows 3 security definer
    set search_path = fn, pg_temp set work_mem = '8MB' as 'select * from t';
create function any_one(anyelement, anyarray) returns anyelement language sql immutable as 'select $1';
create function any_compatible(anycompatible, anycompatible) returns anycompatible language sql
    as 'select coalesce($1, $2)';
create function of_row(r t) returns text language plpgsql volatile as 'begin return r.a; end';
create function of_domain_array(information_schema.cardinal_number[]) returns int language sql return 1;
create function trigger_like() returns trigger language plpgsql as 'begin return new; end';
create function nothing() returns void language sql as '';
create function record_out(out a int, out b text) returns record language sql as $$ select 1, 'b' $$;
create function "Odd ""function"" %s"("arg %s" int) returns int language sql as 'select $1';
create function overloaded() returns int language sql return 0;
create function overloaded(int) returns int language sql return 1;
create function overloaded(text) returns int language sql return 2;
create function overloaded(int, text) returns int language sql return 3;
create function crlf() returns text language plpgsql as E'begin\r\n    return ''a\tb'';\r\nend';
create function supports(int) returns int language internal immutable strict as 'int4abs';

create procedure do_it(a int, inout b int default 5) language plpgsql as $$
begin
    b := a;
    commit;
end
$$;
create procedure atomic_proc(x int) begin atomic
    insert into t values (x, 'p', x);
    delete from t where id = x;
end;

-- a function whose body names relations that sort after it, and one that breaks on an empty search path
create table zz_later (a int);
create function uses_later() returns bigint language sql stable as 'select count(*) from fn.zz_later';
create function checks_bodies() returns int language plpgsql as 'begin return nowhere.missing(); end';
set check_function_bodies = off;
create function broken_body() returns int language sql as 'select no_such_column from no_such_table';
reset check_function_bodies;

-- used by a default, a generated column, a check, an index, a domain, a view, a policy, a constraint
create table leaning (
    a int default fn.plus_one(1) check (fn.plus_one(a) > 0),
    b int generated always as (fn.plus_one(a)) stored
);
create index on leaning (fn.plus_one(a));
insert into leaning default values;
create domain checked_by as int check (fn.plus_one(value) > 1);
create table of_checked (a checked_by);
insert into of_checked values (5);
create view leaning_view as select fn.begin_atomic(a) from leaning;

create or replace function any_state(state numeric[], value numeric) returns numeric[] language sql immutable
    as 'select state || value';
create aggregate collected(numeric) (sfunc = any_state, stype = numeric[], initcond = '{}', parallel = safe);
create function last_of(state float8, value float8) returns float8 language sql immutable as 'select value';
create aggregate moving_last(float8) (
    sfunc = last_of, stype = float8, sspace = 8, finalfunc_modify = read_only, combinefunc = last_of,
    msfunc = last_of, minvfunc = last_of, mstype = float8
);
create aggregate ordered_set(order by anyelement) (
    sfunc = ordered_set_transition, stype = internal, finalfunc = mode_final, finalfunc_extra
);
create aggregate hypothetical(variadic "any" order by variadic "any") (
    sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final, finalfunc_extra, hypothetical
);
create view upon_aggregate as select fn.collected(n) as c, fn.moving_last(n) over (order by n) as m from t group by n;
