-- Rewrite rules, which COPY ignores on relations and which make views.
create schema rewrites;
set search_path = rewrites;
create table t (id int primary key, a text);
create table log (what text);
insert into t select i, 'a' || i from generate_series(1, 20) i;
create rule log_insert as on insert to t do also insert into rewrites.log values ('in ' || new.a);
create rule no_delete as on delete to t where old.id < 5 do instead nothing;
create rule twice as on update to t do (
    insert into rewrites.log values ('one');
    insert into rewrites.log values (new.a || old.a);
);
create rule "Odd ""rule"" %s" as on delete to t do also notify deleted;
create view v as select id, a from t;
create rule v_insert as on insert to v do instead insert into rewrites.t values (new.id, new.a) returning id, a;
create rule v_update as on update to v do instead update rewrites.t set a = new.a where id = old.id;
create rule v_select_only as on delete to v do instead nothing;
alter table t disable rule log_insert;
alter table t enable always rule no_delete;
alter table t enable replica rule twice;
