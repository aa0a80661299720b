-- Journals of version 4 did not record who has acted on a run from the page.
create table windlass.act (
    id       text        primary key,
    run      text        not null,
    what     text        not null,
    command  text        not null,
    who      text        not null,
    address  text        not null,
    at       timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    result   text
);
