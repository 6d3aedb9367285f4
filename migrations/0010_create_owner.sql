-- Whose database this is. What is enqueued in SQL, what changed for the cache and for aggregates goes to whoever asks
-- first: workers of another prefix would take it, and nobody would miss it.
create table brasa.owner (
    is_only bool primary key default true check (is_only),
    -- `[redis] prefix` of those who may.
    prefix  text collate "C" not null,
    since   timestamptz not null default clock_timestamp()
);

comment on table brasa.owner is 'Whose workers look after this database: `brasa migrate --adopt` changes it.';
