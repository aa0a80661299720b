-- An index that a failed CREATE INDEX CONCURRENTLY left behind: pg_dump leaves such out.
create schema left_over;
create table left_over.twice (a int);
insert into left_over.twice values (1), (1);
\set ON_ERROR_STOP off
\set QUIET on
set client_min_messages = fatal;
create unique index concurrently never_valid on left_over.twice (a);
\set ON_ERROR_STOP on
create index valid on left_over.twice (a);
do $$
begin
    assert (select count(*) = 1 from pg_index where not indisvalid and indexrelid::regclass::text ~ 'never_valid');
end
$$;
