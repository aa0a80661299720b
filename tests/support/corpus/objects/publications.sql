-- Publications of every scope.
create schema published;
set search_path = published;
create table t (id int primary key, a text, b int);
create table filtered (id int primary key, a text, b int, c int);
create table parts (id int primary key) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
insert into t values (1, 'a', 1);
insert into filtered values (1, 'a', 1, 2);
insert into parts values (1);
create publication nothing;
create publication several for table t, filtered with (publish = 'insert, delete');
create publication rows_and_columns for table filtered (id, a, b) where (id > 5 and b <> 3), t;
create publication whole_schema for tables in schema published with (publish = 'insert');
create publication by_root for table parts with (publish_via_partition_root = true);
create publication only_one for table only t;
create publication "Odd ""publication"" %s" for table t with (publish = 'truncate');
