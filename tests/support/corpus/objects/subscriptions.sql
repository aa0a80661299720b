-- A subscription that is not connected; its connection string holds what nobody should see.
create schema subscribed;
create table subscribed.t (id int primary key);
insert into subscribed.t values (1);
create subscription corpus_subscription connection 'host=nowhere.invalid dbname=x'
    publication several with (connect = false, enabled = false, slot_name = none, create_slot = false);
