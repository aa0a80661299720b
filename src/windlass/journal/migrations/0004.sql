-- Journals of version 3 did not know of runs that follow their source.
create table windlass.following (
    run    text        primary key references windlass.run on delete cascade,
    phase  text        not null,
    detail jsonb       not null,
    at     timestamptz not null default clock_timestamp()
);

create table windlass.applied (
    run          text        not null,
    direction    text        not null,
    epoch        int         not null,
    commit_lsn   pg_lsn      not null,
    end_lsn      pg_lsn      not null,
    transactions bigint      not null default 0,
    changes      bigint      not null default 0,
    marker       bigint      not null default 0,
    late         jsonb,
    lag_ms       float8,
    at           timestamptz not null default clock_timestamp(),
    primary key (run, direction)
);

create table windlass.marker (
    run       text        not null,
    direction text        not null,
    number    bigint      not null,
    purpose   text        not null,
    at        timestamptz not null default clock_timestamp(),
    primary key (run, direction)
);

create table windlass.request (
    id          text        primary key,
    run         text        not null references windlass.run on delete cascade,
    what        text        not null,
    given       jsonb       not null,
    asked_at    timestamptz not null default clock_timestamp(),
    answered_at timestamptz,
    answer      jsonb
);

create table windlass.ddl (
    run       text        not null,
    id        text        not null,
    tag       text        not null,
    objects   text        not null,
    statement text        not null,
    at        timestamptz not null default clock_timestamp(),
    primary key (run, id)
);
