-- Journals of version 5 had no log of what happened in a run.
create table windlass.log (
    run     text        not null references windlass.run on delete cascade,
    process text        not null,  -- that wrote it
    number  int         not null,  -- in that process
    kind    text        not null,
    said    text        not null,
    at      timestamptz not null,
    primary key (run, process, number)
);
