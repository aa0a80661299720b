-- The journal of windlass, in its present version. Kept in the target: a line commits together with
-- the work it records. Every change here also needs a file in migrations/, for existing journals.
do $$ begin
    if to_regnamespace('windlass') is null then  -- an administrator may have made it
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

-- Runs that follow their source: where each is. Only in the target's journal.
create table if not exists windlass.following (
    run    text        primary key references windlass.run on delete cascade,
    phase  text        not null,
    detail jsonb       not null,  -- what is needed to undo or resume the phase
    at     timestamptz not null default clock_timestamp()
);

-- How far a stream of changes is applied, in the database to which it is applied. Written first in
-- every transaction that applies changes, and published: by it the reader of the other direction
-- recognizes that transaction, and leaves it out. No reference to a run: the source has none.
create table if not exists windlass.applied (
    run          text        not null,
    direction    text        not null,
    epoch        int         not null,  -- raised by every process that takes the stream over
    commit_lsn   pg_lsn      not null,
    end_lsn      pg_lsn      not null,
    transactions bigint      not null default 0,
    changes      bigint      not null default 0,
    marker       bigint      not null default 0,  -- the last marker that has arrived
    late         jsonb,  -- what others wrote after a seal
    lag_ms       float8,  -- of the last marker
    at           timestamptz not null default clock_timestamp(),
    primary key (run, direction)
);

-- Marks in a stream of changes, written in the database that is read.
create table if not exists windlass.marker (
    run       text        not null,
    direction text        not null,
    number    bigint      not null,
    purpose   text        not null,
    at        timestamptz not null default clock_timestamp(),
    primary key (run, direction)
);

-- Requests from commands to the process that follows. Only in the target's journal.
create table if not exists windlass.request (
    id          text        primary key,
    run         text        not null references windlass.run on delete cascade,
    what        text        not null,
    given       jsonb       not null,
    asked_at    timestamptz not null default clock_timestamp(),
    answered_at timestamptz,
    answer      jsonb
);

-- Statements that changed definitions on the source, in the order of its commits.
create table if not exists windlass.ddl (
    run       text        not null,
    id        text        not null,
    tag       text        not null,
    objects   text        not null,
    statement text        not null,
    at        timestamptz not null default clock_timestamp(),
    primary key (run, id)
);

-- What people have done with runs from the page of `windlass serve`. No reference to a run: a record
-- stays where its run is forgotten.
create table if not exists windlass.act (
    id       text        primary key,
    run      text        not null,
    what     text        not null,
    command  text        not null,
    who      text        not null,
    address  text        not null,  -- of the client
    at       timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    result   text
);

-- What happened in a run besides its lines: notes of its processes, the last ones. Without values of
-- rows.
create table if not exists windlass.log (
    run     text        not null references windlass.run on delete cascade,
    process text        not null,  -- that wrote it
    number  int         not null,  -- in that process
    kind    text        not null,
    said    text        not null,
    at      timestamptz not null,
    primary key (run, process, number)
);

-- The versions of this schema that the journal has had; the highest is its present one.
create table if not exists windlass.schema_version (
    version    int         primary key,
    applied_at timestamptz not null default clock_timestamp()
);

insert into windlass.schema_version (version) values (6) on conflict do nothing;
