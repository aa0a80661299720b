-- Journals of version 1 did not record their version, and had no watermarks and other step names.
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

-- Renames steps. A line's transaction identifies the rows of its run, and this UPDATE changes it: so
-- the note keeps the original transaction.
update windlass.line
   set step = case step when 'transfer_table_data' then 'copy_tables'
                        when 'transfer_partition' then 'copy_chunks'
                        when 'transfer_large_objects' then 'copy_large_objects'
                        when 'reading_from_database' then 'read_rows'
                        when 'adding_row' then 'change_rows'
                        when 'backup_table' then 'back_up_rows'
                        when 'delete_records_from_table' then 'delete_rows'
                        when 'writing_to_database' then 'write_rows'
                        when 'updating_exported_at' then 'stamp_rows' end,
       note = coalesce(note, '{}') || pg_catalog.jsonb_build_object(
                  'xids', coalesce(note->'xids', '[]') || pg_catalog.to_jsonb(xmin::text))
 where step in ('transfer_table_data', 'transfer_partition', 'transfer_large_objects',
                'reading_from_database', 'adding_row', 'backup_table',
                'delete_records_from_table', 'writing_to_database', 'updating_exported_at');

-- A process of the older windlass that is still running stops at its next line.
update windlass.run set epoch = epoch + 1;
