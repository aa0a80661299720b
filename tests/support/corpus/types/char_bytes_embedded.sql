-- The one-byte type holds what is no text in UTF8; before 16 its own output could not be read back.
create schema char_bytes;
create table char_bytes.t (id int primary key, c "char", cs "char"[]);
insert into char_bytes.t select i, i::"char", array[i::"char", null] from generate_series(-128, 127) i;
