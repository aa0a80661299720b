-- Policies: the rows must all arrive, and the policies must be there afterwards.
create schema secured;
set search_path = secured;
create table mine (id int primary key, who name, a text);
insert into mine select i, case when i % 2 = 0 then 'corpus_reader' else 'corpus_writer' end, 'a' || i
  from generate_series(1, 40) i;
alter table mine enable row level security;
alter table mine force row level security;
create policy own_rows on mine using (who = current_user);
create policy readers on mine as restrictive for select to corpus_reader, corpus_writer using (id < 100);
create policy writers on mine for insert to corpus_writer with check (who = current_user and length(a) < 50);
create policy "Odd ""policy"" %s" on mine for update to public using (true) with check (a <> '%s');
create table allowed (who name);
insert into allowed values ('corpus_reader');
create policy removers on mine for delete to "Odd ""Rôle"" %s; --"
    using (exists (select from secured.allowed a where a.who = mine.who));
create table enabled_only (a int);
alter table enabled_only enable row level security;
insert into enabled_only values (1), (2);
create table policy_without_security (a int);
create policy unused on policy_without_security using (a > 1);
insert into policy_without_security values (1), (2);
alter table mine owner to corpus_owner;
