-- Jobs that are enqueued inside the application's own transactions, until they have ended.
--
-- A row waits (pushed_at is null), is on its way in Redis (pushed_at is set), or was refused (refused_at is set) and
-- lies there until somebody decides. It is deleted once the outcome of its job is recorded.
create table brasa.outbox (
    -- Also the job's id, so that pushing a row twice is pushing it once.
    id          text collate "C" primary key,
    kind        text not null,
    -- The version of the arguments, as the kind counts it.
    kv          integer not null,
    args        jsonb not null,
    queue       text collate "C" not null,
    priority    smallint not null,
    -- One row that cannot be read would keep all others from being read.
    run_at      timestamptz check (isfinite(run_at)),
    unique_key  text,
    enqueued_at timestamptz not null default clock_timestamp() check (isfinite(enqueued_at)),
    pushed_at   timestamptz,
    pushes      integer not null default 0,
    refused_at  timestamptz,
    last_error  text
) with (
    -- Every row is updated once and deleted soon: what it leaves behind is to be cleared away early.
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.2
);

comment on table brasa.outbox is
    'Jobs of brasa.enqueue that have not ended yet. Read it as you like; write through brasa.enqueue only.';

-- What a relay looks for. Empty while Redis is there, however many jobs are on their way.
create index outbox_waiting on brasa.outbox (queue, enqueued_at) where pushed_at is null and refused_at is null;

-- What people look for.
create index outbox_refused on brasa.outbox (refused_at) where refused_at is not null;

-- When the next reconciliation is due: one row. Whoever moves the instant on does the round, so no worker holds a lock
-- while it works, and one that dies is made up for by the next round.
create table brasa.outbox_turn (
    only_row boolean primary key default true check (only_row),
    due_at   timestamptz not null
);
insert into brasa.outbox_turn (due_at) values ('-infinity');

-- Enqueues a job if, and only if, the transaction that calls it commits; returns the job's id.
--
-- It runs with the rights of its owner, so that a caller needs none on the table. An id that is in the table already
-- is returned and nothing is changed. It knows nothing of Redis, waits for nobody but another transaction that is
-- putting in the same id, and checks what can be checked without the configuration.
create function brasa.enqueue(
    kind       text,
    args       jsonb       default '{}',
    queue      text        default 'default',
    run_at     timestamptz default null,
    unique_key text        default null,
    priority   integer     default 0,
    id         text        default null,
    kv         integer     default 1
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, brasa, pg_temp
as $$
declare
    name_pattern constant text := '^[a-z0-9][a-z0-9_.-]{0,63}$';
    name_hint    constant text := 'write 1 to 64 of a-z, 0-9, _, . and -, beginning with a letter or a digit';
    id_pattern   constant text := '^[!-~]{1,128}$';
    id_hint      constant text := 'write 1 to 128 printable ASCII characters without spaces';
    -- An envelope may have 256 KiB; the rest of it needs less than one of them.
    bytes_max    constant integer := 255 * 1024;
    bytes        integer;
    job          text := enqueue.id;
begin
    if enqueue.kind is null or enqueue.kind !~ name_pattern then
        raise exception using errcode = '22023', hint = name_hint,
            message = format('brasa.enqueue: `%s` cannot be a kind', left(enqueue.kind, 80));
    end if;
    if enqueue.queue is null or enqueue.queue !~ name_pattern then
        raise exception using errcode = '22023', hint = name_hint,
            message = format('brasa.enqueue: `%s` cannot be a queue', left(enqueue.queue, 80));
    end if;
    if jsonb_typeof(enqueue.args) is distinct from 'object' then
        raise exception using errcode = '22023', hint = 'write {"name": value}, or leave it out where there are none',
            message = format('brasa.enqueue: args must be a JSON object, it is %s',
                             coalesce(jsonb_typeof(enqueue.args), 'missing'));
    end if;
    bytes := octet_length(enqueue.args::text);
    if bytes > bytes_max then
        raise exception using errcode = '22023', hint = 'keep the data in a table, and pass its key',
            message = format('brasa.enqueue: args have %s bytes, at most %s are accepted', bytes, bytes_max);
    end if;
    if enqueue.unique_key !~ id_pattern then
        raise exception using errcode = '22023', hint = id_hint,
            message = format('brasa.enqueue: `%s` cannot be a unique_key', left(enqueue.unique_key, 40));
    end if;
    if enqueue.priority is null or enqueue.priority not between 0 and 9 then
        raise exception using errcode = '22023', hint = 'write 0 to 9; 5 is usual',
            message = format('brasa.enqueue: %s cannot be a priority', coalesce(enqueue.priority::text, 'null'));
    end if;
    if enqueue.kv is null or enqueue.kv < 1 then
        raise exception using errcode = '22023', hint = 'versions of arguments count from 1',
            message = format('brasa.enqueue: %s cannot be a kv', coalesce(enqueue.kv::text, 'null'));
    end if;
    -- Milliseconds have to be exact in a double, which ends long after the year 9999.
    if enqueue.run_at not between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00' then
        raise exception using errcode = '22023', hint = 'write an instant between the years 1 and 9999',
            message = format('brasa.enqueue: %s cannot be a run_at', enqueue.run_at);
    end if;
    if job is null then
        -- A UUID of version 7: it begins with the time, so that new rows lie beside one another in the index.
        job := encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
            placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
            from 1 for 6), 52, 1), 53, 1), 'hex')::uuid::text;
    elsif job !~ id_pattern then
        raise exception using errcode = '22023', hint = id_hint,
            message = format('brasa.enqueue: `%s` cannot be an id', left(job, 40));
    end if;

    insert into brasa.outbox (id, kind, kv, args, queue, priority, run_at, unique_key)
    values (job, enqueue.kind, enqueue.kv, enqueue.args, enqueue.queue, enqueue.priority, enqueue.run_at,
            enqueue.unique_key)
    on conflict on constraint outbox_pkey do nothing;

    -- Postgres folds the notifications of a transaction into one, and sends it when the transaction commits.
    if found and current_setting('brasa.notify', true) is distinct from 'off' then
        perform pg_notify('brasa.outbox', '');
    end if;
    return job;
end
$$;

comment on function brasa.enqueue is
    'Enqueues a job when the calling transaction commits; returns its id. Needs usage on schema brasa, and execute.';

-- Whoever may enqueue may run any kind with any arguments: that is to be granted, not to be had.
revoke execute on function brasa.enqueue from public;
