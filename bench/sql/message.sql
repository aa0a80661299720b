-- Variables: rows; tenths, how many tenths of them are to be rewritten.
-- Ten rows share a base, and all or none of them are selected: otherwise pandas would lose rows.
create table message (
    message_id  bigint primary key,
    base        text not null,
    body        text,
    total       numeric(12, 2),
    sender      uuid,
    sent_at     timestamptz,
    exported_at timestamp not null,
    product_id  text
);

insert into message
select n,
       'base ' || n / 10,
       md5(n::text) || md5((n + 1)::text),
       n / 7.0,
       md5(n::text)::uuid,
       '2026-01-01'::timestamptz + n * interval '1 second',
       case when n / 10 % 10 < :tenths then '9999-12-31' else timestamp '2026-01-01' end,
       null
  from generate_series(1, :rows) n;

create index on message (base);
create schema backup;
