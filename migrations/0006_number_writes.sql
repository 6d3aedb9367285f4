-- What producers that number their rows have sent: so that a row that comes twice is written once, and one that does not
-- come is known.
create table brasa.write_producers (
    name     text collate "C" not null,
    part     integer not null,
    -- Who sends: whatever it calls itself, one that lives.
    producer text collate "C" not null,
    -- The highest number of its rows that came.
    last     bigint not null,
    -- Numbers below it that did not, as `7-9 12-12`.
    missing  text collate "C" not null default '',
    -- How many have not come, with those that are too many to be remembered.
    lost     bigint not null default 0,
    seen_at  timestamptz not null default clock_timestamp(),
    primary key (name, part, producer)
) with (
    fillfactor = 50,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    vacuum_truncate = false
);

comment on table brasa.write_producers is 'What each producer of batched writes has sent. Do not write here.';

-- Entries that came again and were not written again.
alter table brasa.write_offsets add column doubled bigint not null default 0;
