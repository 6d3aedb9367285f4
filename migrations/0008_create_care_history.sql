-- Care of the database: what it counted, kept over time.
--
-- Postgres counts since some moment, forgets at a crash, and says neither. `db.observe` looks every few minutes and
-- keeps the differences. Nothing here is ever deleted row by row where it grows: parts of tables are made ahead and
-- dropped when they are old enough. All instants are those of the process that looks.

-- Since when the counters of a server are what they are. What was counted in one spell is never compared with what was
-- counted in another.
create table brasa.care_spells (
    id          bigint generated always as identity primary key,
    -- `primary` or `replica`.
    node        text collate "C" not null,
    -- When it began, as far as is known; and from when on everything that was counted is in the days.
    began_at    timestamptz not null,
    counts_from timestamptz not null,
    -- When somebody looked last.
    last_at     timestamptz not null,
    why         text not null,
    is_loss     boolean not null,
    -- What shows that another one begins, as of the last look.
    marks       jsonb not null
);

create index care_spells_by_node on brasa.care_spells (node, id);

-- Who looked when, and for how long a time the differences are that were found.
create table brasa.care_looks (
    taken_at timestamptz not null,
    node     text collate "C" not null,
    seconds  double precision not null,
    primary key (taken_at, node)
) partition by range (taken_at);

-- What an index's counter said last. By names, never by numbers of the catalogue, which change when it is rebuilt.
create table brasa.care_index_last (
    node       text collate "C" not null,
    schema     text collate "C" not null,
    "table"    text collate "C" not null,
    index      text collate "C" not null,
    -- The same for all indexes that do the same. Where it changes, the index is another one.
    signature  text collate "C" not null,
    scans      bigint not null,
    scanned_at timestamptz,
    -- From when on all its scans are in the days.
    since      timestamptz not null,
    primary key (node, schema, "table", index)
);

-- Scans of an index in a day (UTC); no row for a day without any.
create table brasa.care_index_days (
    day       date not null,
    node      text collate "C" not null,
    schema    text collate "C" not null,
    "table"   text collate "C" not null,
    index     text collate "C" not null,
    signature text collate "C" not null,
    scans     bigint not null check (scans >= 0),
    primary key (day, node, schema, "table", index, signature)
) partition by range (day);

-- What a table's counters said last.
create table brasa.care_table_last (
    node             text collate "C" not null,
    schema           text collate "C" not null,
    "table"          text collate "C" not null,
    whole_scans      bigint not null,
    whole_rows       bigint not null,
    index_scans      bigint not null,
    inserted         bigint not null,
    updated          bigint not null,
    updated_in_place bigint not null,
    deleted          bigint not null,
    primary key (node, schema, "table")
);

-- What was done with a table in an hour; no row for an hour without anything.
create table brasa.care_table_hours (
    hour             timestamptz not null,
    node             text collate "C" not null,
    schema           text collate "C" not null,
    "table"          text collate "C" not null,
    whole_scans      bigint not null check (whole_scans >= 0),
    whole_rows       bigint not null check (whole_rows >= 0),
    index_scans      bigint not null check (index_scans >= 0),
    inserted         bigint not null check (inserted >= 0),
    updated          bigint not null check (updated >= 0),
    updated_in_place bigint not null check (updated_in_place >= 0),
    deleted          bigint not null check (deleted >= 0),
    primary key (hour, node, schema, "table")
) partition by range (hour);

-- The same by day (UTC), which is kept for longer.
create table brasa.care_table_days (
    day              date not null,
    node             text collate "C" not null,
    schema           text collate "C" not null,
    "table"          text collate "C" not null,
    whole_scans      bigint not null check (whole_scans >= 0),
    whole_rows       bigint not null check (whole_rows >= 0),
    index_scans      bigint not null check (index_scans >= 0),
    inserted         bigint not null check (inserted >= 0),
    updated          bigint not null check (updated >= 0),
    updated_in_place bigint not null check (updated_in_place >= 0),
    deleted          bigint not null check (deleted >= 0),
    primary key (day, node, schema, "table")
) partition by range (day);

-- Texts of statements, without literals and comments. Of a statement that may hold secrets only its kind is kept.
create table brasa.care_statement_texts (
    fingerprint text collate "C" primary key,
    text        text not null,
    -- It touches tables of this schema only.
    is_ours     boolean not null,
    known_at    timestamptz not null
);

-- What the counters of a statement said last, as pg_stat_statements tells statements of this database apart.
create table brasa.care_statement_last (
    userid      oid not null,
    queryid     bigint not null,
    toplevel    boolean not null,
    -- None until its text has been read.
    fingerprint text collate "C",
    calls       bigint not null,
    total_ms    double precision not null,
    max_ms      double precision not null,
    -- The sum of the squares of all times: the deviation of a stretch of time is made of its differences.
    squares     double precision not null,
    rows        bigint not null,
    hit         bigint not null,
    read        bigint not null,
    temp        bigint not null,
    wal_bytes   numeric not null,
    -- Since when it is counted, as text; from version 1.11 of the extension on.
    since       text collate "C",
    primary key (userid, queryid, toplevel)
) with (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.2
);

-- Counters of statements as of the last look: when they were reset, and how often statements were thrown out.
create table brasa.care_statement_marks (
    only_one boolean primary key default true check (only_one),
    reset_at text collate "C",
    dealloc  bigint,
    -- Why nothing was read, where that is so.
    fault    text,
    taken_at timestamptz not null
);

-- What statements cost between two looks.
create table brasa.care_statement_deltas (
    taken_at    timestamptz not null,
    fingerprint text collate "C" not null,
    calls       bigint not null check (calls >= 0),
    total_ms    double precision not null check (total_ms >= 0),
    squares     double precision not null check (squares >= 0),
    rows        bigint not null check (rows >= 0),
    hit         bigint not null check (hit >= 0),
    read        bigint not null check (read >= 0),
    temp        bigint not null check (temp >= 0),
    wal_bytes   numeric not null check (wal_bytes >= 0),
    -- Statements whose counters had begun anew.
    restarts    integer not null,
    primary key (taken_at, fingerprint)
) partition by range (taken_at);

-- The same by hour: what is usual is made of it.
create table brasa.care_statement_hours (
    hour        timestamptz not null,
    fingerprint text collate "C" not null,
    calls       bigint not null check (calls >= 0),
    total_ms    double precision not null check (total_ms >= 0),
    squares     double precision not null check (squares >= 0),
    rows        bigint not null check (rows >= 0),
    hit         bigint not null check (hit >= 0),
    read        bigint not null check (read >= 0),
    temp        bigint not null check (temp >= 0),
    wal_bytes   numeric not null check (wal_bytes >= 0),
    primary key (hour, fingerprint)
) partition by range (hour);

comment on table brasa.care_spells is 'Since when the counters of a server hold: see `db.observe`. Do not write here.';
comment on table brasa.care_statement_texts is 'Statements without literals: see `brasa db statements`. Safe to read.';
