-- How far the streams of batched writes have been written, and what could not be.
--
-- A worker writes a batch and moves the offset on in one transaction, so a row is written once, whoever dies when.
create table brasa.write_offsets (
    -- The name of `[writes.NAME]`, and which of its streams.
    name        text collate "C" not null,
    part        integer not null,
    -- The last entry that is written, by its id in the stream: milliseconds and a number.
    ms          bigint not null default 0,
    seq         bigint not null default 0,
    -- Grows whenever somebody else takes the stream over: a batch of an earlier epoch does not commit.
    epoch       bigint not null default 0,
    owner       text,
    lease_until timestamptz not null default '-infinity',
    -- The server that the stream was read from.
    run_id      text,
    -- What has been done so far: entries read, rows that they became, and entries that were buried.
    entries     bigint not null default 0,
    rows        bigint not null default 0,
    dead        bigint not null default 0,
    flushed_at  timestamptz,
    -- Why nothing is written at present, by whom, and since when; `by` is null where Brasa stopped by itself.
    paused_why  text,
    paused_by   text,
    paused_at   timestamptz,
    primary key (name, part)
) with (
    -- A few rows that are updated without end, in place.
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

comment on table brasa.write_offsets is 'How far each stream of batched writes has been written. Do not write here.';

-- Entries that the database refused, with its reason, until somebody decides.
create table brasa.write_dead (
    id         bigint generated always as identity primary key,
    name       text collate "C" not null,
    part       integer not null,
    -- Its id in the stream.
    entry      text collate "C" not null,
    -- As it came, byte for byte: it may be no text at all.
    payload    bytea not null,
    sqlstate   text collate "C",
    -- The constraint or the column that refused it, where the database says.
    at_fault   text,
    message    text not null,
    buried_at  timestamptz not null default clock_timestamp(),
    unique (name, part, entry)
);

comment on table brasa.write_dead is 'Entries of batched writes that could not be written: see `brasa writes dead`.';
