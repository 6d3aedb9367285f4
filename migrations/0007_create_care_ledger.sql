-- What was done to the database: analyzed, vacuumed, rebuilt.
--
-- A rebuild is noted here and committed before it begins, so that whoever comes after a crash knows what is his: a half-built
-- index that is not noted here is somebody else's and is left alone.
create table brasa.care_actions (
    id           bigint primary key generated always as identity,
    kind         text collate "C" not null check (kind in ('analyze', 'vacuum', 'reindex')),
    -- As they are called; the index only where one was rebuilt.
    schema_name  text collate "C" not null,
    table_name   text collate "C" not null,
    index_name   text collate "C",
    -- Why, and by whom: a job, or a person.
    why          text not null,
    actor        text not null,
    -- `armed` until it is known what came of it.
    state        text collate "C" not null check (state in
        ('armed', 'done', 'done_recovered', 'failed_clean', 'aborted_clean', 'skipped', 'void')),
    -- Of a rebuild: what the index was, and which indexes of the table were invalid before.
    signature    text collate "C",
    table_oid    bigint,
    old_oid      bigint,
    new_oid      bigint,
    strangers    bigint[] not null default '{}',
    -- Which session does it, of which server and database: of another one nothing is ever taken away.
    token        text collate "C",
    server       text collate "C",
    phase        text,
    bytes_before bigint,
    bytes_after  bigint,
    -- How large it was expected to be.
    estimate     bigint,
    error        text,
    started_at   timestamptz not null default clock_timestamp(),
    ended_at     timestamptz
);

create index care_actions_started on brasa.care_actions (started_at);
create index care_actions_armed on brasa.care_actions (id) where state = 'armed';

comment on table brasa.care_actions is 'What was done to the database: see `brasa db history`. Do not write here.';

-- What is known of an index from before. Under its name and what it is, since its number changes with each rebuild.
create table brasa.care_indexes (
    schema_name  text collate "C" not null,
    index_name   text collate "C" not null,
    signature    text collate "C" not null,
    -- The fewest bytes that an entry ever took, and when and how that came to be known: `rebuilt` or `seen`.
    ratio        double precision,
    ratio_at     timestamptz,
    ratio_from   text collate "C" check (ratio_from in ('rebuilt', 'seen')),
    -- The last rebuild, and what it gave back.
    rebuilt_at   timestamptz,
    bytes_after  bigint,
    gained       bigint,
    -- How often it failed since the last one that did not, and before when it is not tried again.
    fails        integer not null default 0,
    not_before   timestamptz,
    primary key (schema_name, index_name)
);

comment on table brasa.care_indexes is 'What is known of indexes from before. Do not write here.';
