-- How many locks the server has room for, by the settings that its manual names.
select current_setting('max_locks_per_transaction')::int as per_transaction,
       current_setting('max_connections')::int
         + current_setting('max_prepared_transactions')::int as sessions
