-- Care of the database: what was recommended, and since when.
--
-- A recommendation is one for as long as its evidence is there: it is found again, with newer figures, until it is not.
-- Then it is closed, and when it comes back it begins anew. A person may say that it is not to be heard of again.
create table brasa.care_recommendations (
    -- Of the rule and of what it is about.
    fingerprint   text collate "C" primary key,
    -- `R01` and so on.
    rule          text collate "C" not null,
    -- What it is about, as it is written in SQL where it has a name there.
    object        text collate "C" not null,
    severity      text collate "C" not null check (severity in ('info', 'warning', 'critical')),
    -- Title, evidence, statement, undo: as of the last review that found it.
    body          jsonb not null,
    first_seen    timestamptz not null default now(),
    last_seen     timestamptz not null default now(),
    -- When it was no longer found.
    cleared_at    timestamptz,
    -- Who does not want to hear of it, and why.
    dismissed_at  timestamptz,
    dismissed_by  text,
    dismissed_why text
);

comment on table brasa.care_recommendations is 'What was recommended: see `brasa db recommendations`. Safe to read.';

create table brasa.care_reviews (
    id        bigint generated always as identity primary key,
    looked_at timestamptz not null default now(),
    -- How much was found.
    summary   jsonb not null,
    -- What could not be looked at, and why.
    gaps      jsonb not null
);

comment on table brasa.care_reviews is 'Reviews of this database, the newest thousand. Safe to read.';
