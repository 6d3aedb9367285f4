-- What changed in the application's tables, until a worker has told the cache.
--
-- Rows are appended inside the transactions that change something, by triggers that people install and by the
-- functions below, and are never looked at there: one row too many costs a look, one too few a stale value for ever. A
-- worker deletes them in the transaction in which it tells the cache.
create table brasa.cache_log (
    -- The order in which workers take them, and what they look for first.
    id   bigint generated always as identity primary key,
    -- What changed: `table:SCHEMA.TABLE(column,column)`, `key:`, `tag:` or `warmer:`.
    dep  text collate "C" not null,
    -- The values of these columns as text, or the one key, tag or warmer; null stands for every row of the table.
    keys text[] collate "C" check (array_ndims(keys) = 1 and array_position(keys, null) is null),
    -- The transaction that changed it: what was read before it ended is not to be believed.
    xid  xid8 not null default pg_current_xact_id(),
    at   timestamptz not null default clock_timestamp() check (isfinite(at))
) with (
    -- Every row is deleted soon: what it leaves behind is to be cleared away early and quickly, and without the lock
    -- that giving the space back takes, for which the application would have to wait.
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2,
    vacuum_truncate = false
);

comment on table brasa.cache_log is
    'What changed since the cache was told last. Read it as you like; write through brasa.invalidate_… only.';

-- The keys that are asked for most, so that they can be warmed first when the cache was lost.
create table brasa.cache_hot (
    warmer  text collate "C" not null,
    -- The values of the warmer's parameters as text, in its order.
    params  text[] collate "C" not null,
    hits    double precision not null,
    -- How long the value takes to be made, in microseconds.
    cost_us bigint not null,
    bytes   bigint not null,
    seen_at timestamptz not null default now(),
    primary key (warmer, params)
) with (
    -- All rows of a warmer are updated every time they are saved, in place where a page has room.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.1
);

comment on table brasa.cache_hot is 'The keys that are asked for most, as workers saw them. Safe to empty.';

-- Appends what the functions below were told.
create function brasa.log_invalidation(caller text, dep text, name text) returns void
language plpgsql volatile
set search_path = pg_catalog, brasa, pg_temp
as $$
declare
    bytes_max constant integer := 512;
    what      constant text := rtrim(log_invalidation.dep, ':');
begin
    if log_invalidation.name is null or log_invalidation.name = '' then
        raise exception using errcode = '22023', hint = format('write the %s that is to be invalid', what),
            message = format('brasa.%s: the %s is missing', caller, what);
    end if;
    if octet_length(log_invalidation.name) > bytes_max then
        raise exception using errcode = '22023', hint = format('no %s of the cache is as long as that', what),
            message = format('brasa.%s: the %s has %s bytes, at most %s are accepted', caller, what,
                             octet_length(log_invalidation.name), bytes_max);
    end if;
    if log_invalidation.name collate "C" ~ '[\x01-\x1f\x7f]' then
        raise exception using errcode = '22023', hint = 'leave out line ends, tabs and the like',
            message = format('brasa.%s: a %s has no control characters', caller, what);
    end if;
    insert into brasa.cache_log (dep, keys) values (log_invalidation.dep, array[log_invalidation.name]);
end
$$;

-- Whatever was read for this key before the calling transaction ended is not kept, if and only if it commits.
--
-- This one and those below run with the rights of their owner, so that a caller needs none on the table. They wait
-- for nobody, and look for nothing that is there already.
create function brasa.invalidate_key(key text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, brasa, pg_temp
as $$
begin
    perform brasa.log_invalidation('invalidate_key', 'key:', invalidate_key.key);
end
$$;

-- The same for every value that carries this tag.
create function brasa.invalidate_tag(tag text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, brasa, pg_temp
as $$
begin
    perform brasa.log_invalidation('invalidate_tag', 'tag:', invalidate_tag.tag);
end
$$;

-- The same for every value of this warmer.
create function brasa.invalidate_warmer(warmer text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, brasa, pg_temp
as $$
begin
    perform brasa.log_invalidation('invalidate_warmer', 'warmer:', invalidate_warmer.warmer);
end
$$;

comment on function brasa.invalidate_key is
    'Makes a key of the cache invalid when the calling transaction commits. Needs usage on schema brasa, and execute.';
comment on function brasa.invalidate_tag is
    'Makes values with a tag invalid when the calling transaction commits. Needs usage on schema brasa, and execute.';
comment on function brasa.invalidate_warmer is
    'Makes values of a warmer invalid when the calling transaction commits. Needs usage on schema brasa, and execute.';

-- Whoever may invalidate may make the database work: that is to be granted, not to be had.
revoke execute on function brasa.log_invalidation, brasa.invalidate_key, brasa.invalidate_tag, brasa.invalidate_warmer
    from public;
