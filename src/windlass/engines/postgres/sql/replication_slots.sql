-- Logical replication slots of the server, with what they keep of its log. Columns that older
-- versions lack are read through JSON.
select s.slot_name::text                                as name,
       s.plugin::text                                   as plugin,
       s.database::text                                 as database,
       s.temporary                                      as is_temporary,
       s.active_pid                                     as active_pid,
       (s.restart_lsn - '0/0')::bigint                  as restart_lsn,
       (s.confirmed_flush_lsn - '0/0')::bigint          as confirmed_lsn,
       coalesce(j.it ->> 'wal_status', '')              as wal_status,
       coalesce(greatest(
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
           - s.restart_lsn, 0), 0)::bigint              as retained_bytes,
       (j.it ->> 'safe_wal_size')::bigint               as room_bytes,
       coalesce(j.it ->> 'invalidation_reason',
                case when (j.it ->> 'conflicting')::boolean then 'conflicting' end,
                '')                                     as invalidated
  from pg_replication_slots s
 cross join lateral to_jsonb(s) as j(it)
 where s.slot_type = 'logical'
