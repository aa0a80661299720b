-- Sequences of this database with what limits their values, and whether this user may set them.
select n.nspname::text                                  as schema,
       c.relname::text                                  as name,
       format_type(s.seqtypid, null)                    as type,
       s.seqmin                                         as least,
       s.seqmax                                         as most,
       s.seqincrement                                   as increment,
       s.seqcycle                                       as cycles,
       has_sequence_privilege(c.oid, 'select')          as is_readable,
       has_sequence_privilege(c.oid, 'update')          as is_settable
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relpersistence <> 't'
