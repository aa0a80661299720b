-- what is never translated
select 'trigger'                                     as kind,
       t.trigger_name                                as name
  from information_schema.triggers as t
 where t.trigger_schema = database()
 union all
select lower(r.routine_type), r.routine_name
  from information_schema.routines as r
 where r.routine_schema = database()
   and r.routine_type in ('PROCEDURE', 'FUNCTION')
 union all
select 'event', e.event_name
  from information_schema.events as e
 where e.event_schema = database()
 order by 1, 2
