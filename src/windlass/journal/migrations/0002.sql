-- Journals of version 1 did not record their version, and had no watermarks.
alter table windlass.survivor rename to crash_marker;
alter index windlass.survivor_pkey rename to crash_marker_pkey;

create table windlass.watermark (
    run   text        not null references windlass.run on delete cascade,
    name  text        not null,
    value text        not null,  -- exact, as the source writes it
    at    timestamptz not null default clock_timestamp(),
    primary key (run, name)
);

create table windlass.schema_version (
    version    int         primary key,
    applied_at timestamptz not null default clock_timestamp()
);
insert into windlass.schema_version (version) values (1);
