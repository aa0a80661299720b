-- The roles that every server of the tests has. Roles belong to a server, not to a database.
create role corpus_owner;
create role corpus_reader;
create role corpus_writer login;
create role "Odd ""Rôle"" %s; --";
grant corpus_reader to corpus_writer;
