-- Objects that would act or fail when rows of a relation are deleted or written: for each, a
-- statement that disables it and one that restores it. Empty for the server's own foreign key
-- triggers, which only a superuser can disable.
select t.tgrelid::bigint                                as relation,
       t.tgname                                         as name,
       t.tgenabled                                      as enabled,
       case when not t.tgisinternal then
         format('alter table only %s disable trigger %I', t.tgrelid::regclass, t.tgname)
       else '' end                                      as before,
       case when not t.tgisinternal then
         format('alter table only %s enable %s trigger %I', t.tgrelid::regclass,
                case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end,
                t.tgname)
       else '' end                                      as after
  from pg_trigger t
 where t.tgenabled <> 'D'
union all
-- COPY ignores rules; DELETE does not
select r.ev_class::bigint, r.rulename, r.ev_enabled,
       format('alter table only %s disable rule %I', r.ev_class::regclass, r.rulename),
       format('alter table only %s enable %s rule %I', r.ev_class::regclass,
              case r.ev_enabled when 'A' then 'always' when 'R' then 'replica' else '' end,
              r.rulename)
  from pg_rewrite r
 where r.ev_enabled <> 'D'
   and r.ev_type = '4'
union all
-- without an identity nothing can be deleted from a published relation
select c.oid::bigint, 'replica identity', 'A',
       format('alter table only %s replica identity full', c.oid::regclass),
       format('alter table only %s replica identity %s', c.oid::regclass,
              case c.relreplident when 'n' then 'nothing' else 'default' end)
  from pg_class c
 where c.relkind = 'r'
   and (c.relreplident = 'n' or c.relreplident = 'd' and not exists
         (select from pg_index i where i.indrelid = c.oid and i.indisprimary))
   and exists (select from pg_publication)
