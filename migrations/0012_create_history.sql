-- What became of jobs: a row for each end, written in batches by one worker of all. A job that died and was started again
-- ends more than once. Cut by day: parts are made ahead, and dropped once they are older than `[history] keep`.
create table brasa.history (
    id          text collate "C" not null,
    queue       text collate "C" not null,
    -- Empty where the job could not be read.
    kind        text collate "C" not null,
    -- `done`, `cancelled`, `expired` or `dead`.
    ending      text collate "C" not null,
    enqueued_at timestamptz,
    -- When the last attempt was handed out; none where there was none.
    started_at  timestamptz,
    ended_at    timestamptz not null,
    took_ms     bigint not null,
    attempt     integer not null,
    worker      text collate "C" not null,
    schedule    text collate "C",
    share       text collate "C",
    reason      text,
    -- What is longer than 4 KiB is `{"bytes_left_out": N}`. Arguments are kept only where `[history] args` says so.
    result      jsonb,
    args        jsonb,
    trace       text collate "C",
    -- Writing an end twice changes nothing.
    primary key (id, ended_at)
) partition by range (ended_at);

create index history_by_end on brasa.history (ended_at desc);
create index history_by_queue on brasa.history (queue, ended_at desc);
create index history_by_kind on brasa.history (kind, ended_at desc);
-- Nearly all are done: for those the first index will do.
create index history_by_ending on brasa.history (ending, ended_at desc) where ending <> 'done';

comment on table brasa.history is 'What became of jobs: see `brasa jobs list --history`. What handlers returned is in it.';
