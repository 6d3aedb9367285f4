-- Aggregates: figures of the application's tables, kept as they change.
--
-- Each version of an aggregate has a table with its groups, and a log that triggers of its source append to inside the
-- transactions that change something. In every snapshot the groups and the log together say what the source says; a
-- worker moves rows of the log into the groups in one transaction. These tables are made when a person installs an
-- aggregate; here stands what is known about them.
create table brasa.aggregates (
    -- The name of `[aggregates.NAME]`.
    name         text collate "C" not null,
    -- Grows by one with each other definition. The view shows the one that is `live`.
    version      integer not null,
    -- Which definition it is, and what statements are made of.
    definition   text collate "C" not null,
    spec         jsonb not null,
    -- `building` until everything from before it was installed is in it, then `live`, then `old`.
    state        text collate "C" not null check (state in ('building', 'live', 'old')),
    -- Everything from this bucket on is in it. In the text of the bucket's type.
    built_from   text collate "C" not null default 'infinity',
    -- Of a source that rows are only added to: all transactions before this one are in it, and none of the others.
    read_until   text collate "C" not null default pg_snapshot_xmin(pg_current_snapshot())::text,
    -- Everything before this bucket stays as it is.
    frozen_until text collate "C" not null default '-infinity',
    installed_at timestamptz not null default clock_timestamp(),
    built_at     timestamptz,
    -- How often something was moved into the groups, and what is published counts as newer by it.
    folds        bigint not null default 0,
    folded_rows  bigint not null default 0,
    folded_at    timestamptz,
    -- Rows that came for buckets which stay as they are.
    late_rows    bigint not null default 0,
    -- What the last comparison with the source came to.
    checked_at   timestamptz,
    checked      bigint not null default 0,
    wrong        bigint not null default 0,
    -- Why nothing is moved at present.
    paused_why   text,
    paused_at    timestamptz,
    primary key (name, version)
) with (
    -- A few rows that are updated without end, in place.
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

comment on table brasa.aggregates is 'What is known about each aggregate: see `brasa aggregates status`. Do not write here.';

-- What is to be put into Redis again, since groups changed: written in the transaction that changes them.
create table brasa.aggregate_outbox (
    name    text collate "C" not null,
    -- The values of the columns that the key names, as text.
    params  text[] collate "C" not null,
    -- Counts as newer than what was put there by a lower one.
    version bigint not null,
    primary key (name, params)
) with (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- What is published later has a higher number, whichever version of an aggregate it is of.
create sequence brasa.aggregate_news;

comment on table brasa.aggregate_outbox is 'Aggregates that are to be published again. Safe to read.';
