-- What each role may do in schema `brasa`, and no more. After each `brasa migrate`, as brasa_owner:
--   psql "$OWNER_URL" -v app=shop -f deploy/postgres/grants.sql
-- `app` is the role that your application connects as. Leave out what you do not use.

grant usage on schema brasa to brasa_worker, brasa_web, :"app";

-- Every worker: whose database this is, and for `brasa doctor` whether it is up to date.
grant select, insert on brasa.owner to brasa_worker;
grant select on brasa._sqlx_migrations to brasa_worker;

-- The outbox.
grant select, update, delete on brasa.outbox to brasa_worker;
grant select, update on brasa.outbox_turn to brasa_worker;
grant execute on function brasa.enqueue to :"app";

-- The cache.
grant select, update, delete on brasa.cache_log to brasa_worker;
grant select, insert, update, delete on brasa.cache_hot to brasa_worker;
grant execute on function brasa.invalidate_key, brasa.invalidate_tag, brasa.invalidate_warmer to :"app";

-- Batched writes.
grant select, insert, update on brasa.write_offsets to brasa_worker;
grant select, insert, update, delete on brasa.write_producers to brasa_worker;
grant select, insert on brasa.write_dead to brasa_worker;

-- Aggregates: what is known of all; the tables of each are in docs/production.md.
grant select, update on brasa.aggregates to brasa_worker;
grant select, insert, update, delete on brasa.aggregate_outbox to brasa_worker;
grant usage on sequence brasa.aggregate_news to brasa_worker;

-- What is recommended about the database, for the alert that says so.
grant select on brasa.care_recommendations to brasa_worker;

-- The dashboard: the record of what people do, which nobody may change; what became of jobs; what waits to be told to the
-- cache; aggregates; rows that could not be written, which are mended or deleted there; what care did, and what is
-- recommended about the database, which is dismissed there.
grant select, insert on brasa.audit to brasa_web;
grant usage on sequence brasa.audit_seq_seq to brasa_web;
grant select on brasa.history, brasa.outbox, brasa.cache_log, brasa.cache_hot to brasa_web;
grant select on brasa.aggregates, brasa.aggregate_outbox, brasa._sqlx_migrations, brasa.owner to brasa_web;
grant select, insert, update on brasa.write_offsets to brasa_web;
grant select on brasa.write_producers to brasa_web;
grant select, delete on brasa.write_dead to brasa_web;
grant select, update on brasa.care_recommendations to brasa_web;
select format('grant select on brasa.%I to brasa_web', relname) from pg_class
where relnamespace = 'brasa'::regnamespace and relname like 'care\_%' and relkind in ('r', 'p') \gexec

-- The history of jobs. Workers make and drop a part of it for each day, so they own it, and may create in schema `brasa`.
-- Where they are to own nothing, leave this out and write [history] enabled = false.
grant create on schema brasa to brasa_worker;
select format('alter table brasa.%I owner to brasa_worker', relname) from pg_class
where relnamespace = 'brasa'::regnamespace and relname like 'history%' and relkind in ('r', 'p')
  and not pg_has_role('brasa_worker', relowner, 'usage') order by relname \gexec
