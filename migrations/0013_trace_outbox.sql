-- Jobs that are enqueued in SQL may say where in a trace they are.
--
-- The release before neither knows the column nor misses it. The function gets one more argument behind the others, so
-- calls that name their arguments and calls that do not go on as they were. Another list of arguments is another function
-- to Postgres, and two of them would make calls ambiguous: the old one goes, and whoever owned it and whoever could call
-- it do so with the new one.
alter table brasa.outbox add column traceparent text;

create function brasa.enqueue(
    kind       text,
    args       jsonb       default '{}',
    queue      text        default 'default',
    run_at     timestamptz default null,
    unique_key text        default null,
    priority   integer     default 0,
    id         text        default null,
    kv         integer     default 1,
    traceparent text       default null
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, brasa, pg_temp
as $$
declare
    name_pattern constant text := '^[a-z0-9][a-z0-9_.-]{0,63}$';
    name_hint    constant text := 'write 1 to 64 of a-z, 0-9, _, . and -, beginning with a letter or a digit';
    id_pattern   constant text := '^[!-~]{1,128}$';
    id_hint      constant text := 'write 1 to 128 printable ASCII characters without spaces';
    -- Later versions may say more behind; what version 0 says is read of them too, and kept.
    trace_pattern constant text :=
        '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}($|-)';
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
    if enqueue.traceparent !~ trace_pattern or enqueue.traceparent ~ '^00.{53}-' then
        raise exception using errcode = '22023',
            hint = 'write it as in 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, or leave it out',
            message = format('brasa.enqueue: `%s` cannot be a traceparent', left(enqueue.traceparent, 80));
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

    insert into brasa.outbox (id, kind, kv, args, queue, priority, run_at, unique_key, traceparent)
    values (job, enqueue.kind, enqueue.kv, enqueue.args, enqueue.queue, enqueue.priority, enqueue.run_at,
            enqueue.unique_key, '00-' || substr(enqueue.traceparent, 4, 52))
    on conflict on constraint outbox_pkey do nothing;

    -- Postgres folds the notifications of a transaction into one, and sends it when the transaction commits.
    if found and current_setting('brasa.notify', true) is distinct from 'off' then
        perform pg_notify('brasa.outbox', '');
    end if;
    return job;
end
$$;

revoke execute on function brasa.enqueue(text, jsonb, text, timestamptz, text, integer, text, integer, text) from public;

do $$
declare
    old_one constant regprocedure := 'brasa.enqueue(text, jsonb, text, timestamptz, text, integer, text, integer)';
    new_one constant text := 'brasa.enqueue(text, jsonb, text, timestamptz, text, integer, text, integer, text)';
    owner   oid := (select proowner from pg_catalog.pg_proc where oid = old_one);
    entry   record;
begin
    if pg_catalog.pg_get_userbyid(owner) <> current_user then
        execute format('alter function %s owner to %I', new_one, pg_catalog.pg_get_userbyid(owner));
    end if;
    for entry in
        select case a.grantee when 0 then 'public' else format('%I', pg_catalog.pg_get_userbyid(a.grantee)) end as who,
               case when a.is_grantable then ' with grant option' else '' end as how
        from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
        where p.oid = old_one and a.grantee <> p.proowner
    loop
        execute format('grant execute on function %s to %s%s', new_one, entry.who, entry.how);
    end loop;
end
$$;

drop function brasa.enqueue(text, jsonb, text, timestamptz, text, integer, text, integer);

comment on function brasa.enqueue(text, jsonb, text, timestamptz, text, integer, text, integer, text) is
    'Enqueues a job when the calling transaction commits; returns its id. Needs usage on schema brasa, and execute.';
