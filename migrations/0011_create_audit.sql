-- What people did through the dashboard and the API: one row for each act, written before it takes effect. Each row
-- carries the hash of the one before it, so that a row that was changed or taken out later is found.
create table brasa.audit (
    seq       bigint generated always as identity primary key,
    at        timestamptz not null default clock_timestamp(),
    -- The name of the token, and what it may do.
    actor     text not null,
    role      text not null,
    -- What was done, to what, and how it stood before.
    action    text not null,
    target    text not null,
    detail    jsonb not null default '{}',
    -- The request, as answers and logs name it.
    request   text not null default '',
    previous  bytea not null,
    hash      bytea not null
);

comment on table brasa.audit is 'What people did: `brasa audit verify` finds rows that were changed later. Grant insert and select, and nothing else.';

-- What a row says, in one text: its hash is taken over this and over the hash of the row before.
create function brasa.audit_text(bigint, timestamptz, text, text, text, text, jsonb, text) returns text
language sql immutable
as $$
    select jsonb_build_array($1, extract(epoch from $2)::numeric, $3, $4, $5, $6, $7, $8)::text
$$;
