-- The journal's schema in version 1, as it was; and a run of it.
-- The journal of windlass. Kept in the target: a line commits together with the work it records.
do $$ begin
    if to_regnamespace('windlass') is null then  -- who may not make one may have been given one
        create schema windlass;
        comment on schema windlass is 'Journal of windlass. Drop it to forget all runs.';
    end if;
end $$;

create table if not exists windlass.run (
    run         text primary key,
    flow        text        not null default 'migrate',
    state       text        not null,
    source      text        not null,  -- which database, for every way of naming it
    source_name text        not null,
    essence     jsonb       not null,  -- of the spec: what makes it the same move
    version     text        not null,
    plan        bytea       not null,  -- zlib-compressed JSON
    outcome     jsonb,
    caller      text        not null default '',  -- a scheduler's name for its own run
    epoch       int         not null default 1,  -- raised by every process that takes the run over
    started_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz
);

create table if not exists windlass.snapshot (
    run      text        not null references windlass.run on delete cascade,
    number   int         not null,
    id       text        not null,
    taken_at timestamptz not null,
    lsn      text        not null,
    activity jsonb       not null,  -- by relation: what tells later whether it has changed since
    primary key (run, number)
);

create table if not exists windlass.line (
    run        text        not null references windlass.run on delete cascade,
    step       text        not null,
    item       text        not null,
    relation   text        not null default '',
    rows       bigint      not null default 0,
    size_bytes bigint      not null default 0,
    seconds    float8      not null default 0,
    snapshot   int,
    note       jsonb,
    at         timestamptz not null default clock_timestamp(),
    primary key (run, step, item)  -- a second commit of the same work is impossible
);

-- Runs whose unlogged relations have their rows. Unlogged itself: a row that is gone shows a crash,
-- which has emptied those relations as well.
create unlogged table if not exists windlass.survivor (
    run text primary key
);

insert into windlass.run
       (run, flow, state, source, source_name, essence, version, plan, outcome, caller, epoch, finished_at)
values ('20260101_0000_aaaa', 'migrate', 'interrupted', 'a source', 'shop on 127.0.0.1:5416', '{"jobs": 4}',
        '0.1', '\x', null, 'airflow nightly', 3, clock_timestamp());
insert into windlass.snapshot (run, number, id, taken_at, lsn, activity)
values ('20260101_0000_aaaa', 1, '00000003-0000001B-1', '2026-01-01 00:00:00+00', '0/15D6B80', '{}');
insert into windlass.line (run, step, item, relation, rows, size_bytes, seconds, snapshot, note)
values ('20260101_0000_aaaa', 'transfer_table_data', 't 1', 'public.t', 7, 70, 0.5, 1, '{"source": [7, "a"]}'),
       ('20260101_0000_aaaa', 'create_indexes', 'i 1', '', 0, 0, 0.1, 1, null);
insert into windlass.survivor values ('20260101_0000_aaaa');
