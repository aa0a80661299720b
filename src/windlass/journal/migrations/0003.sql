-- Journals of version 2 did not know the address of a scheduler's run.
alter table windlass.run add column caller_url text not null default '';
