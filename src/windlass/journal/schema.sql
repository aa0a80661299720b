-- The journal of windlass, in its present version. Kept in the target: a line commits together with
-- the work it records. Every change here also needs a file in migrations/, for existing journals.
do $$ begin
    if to_regnamespace('windlass') is null then  -- a role that may not create one may have been given it
        create schema windlass;
        comment on schema windlass is 'Journal of windlass. Drop it to forget all runs.';
    end if;
end $$;

create table if not exists windlass.run (
    run         text primary key,
    flow        text        not null default 'migrate',
    state       text        not null,
    source      text        not null,  -- identifies the database, however it is addressed
    source_name text        not null,
    essence     jsonb       not null,  -- of the spec: what makes it the same migration
    version     text        not null,
    plan        bytea       not null,  -- zlib-compressed JSON
    outcome     jsonb,
    caller      text        not null default '',  -- a scheduler's id of its run
    epoch       int         not null default 1,  -- raised by every process that takes the run over
    started_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    caller_url  text        not null default ''  -- of that run, in a browser
);

create table if not exists windlass.snapshot (
    run      text        not null references windlass.run on delete cascade,
    number   int         not null,
    id       text        not null,
    taken_at timestamptz not null,
    lsn      text        not null,
    activity jsonb       not null,  -- by relation: shows later whether it has changed since
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

-- Runs whose unlogged relations have their rows. Unlogged itself: a missing row shows that a crash
-- has emptied those relations as well.
create unlogged table if not exists windlass.crash_marker (
    run text primary key
);

-- The progress of work that never ends, such as the last change applied: written in the transaction
-- of the work up to it.
create table if not exists windlass.watermark (
    run   text        not null references windlass.run on delete cascade,
    name  text        not null,
    value text        not null,  -- exact, as the source writes it
    at    timestamptz not null default clock_timestamp(),
    primary key (run, name)
);

-- The versions of this schema that the journal has had; the highest is its present one.
create table if not exists windlass.schema_version (
    version    int         primary key,
    applied_at timestamptz not null default clock_timestamp()
);

insert into windlass.schema_version (version) values (3) on conflict do nothing;
