create index flights_origin_time on flights (origin, time_hour);
create index flights_dest on flights (dest);
-- By these, aggregates find the rows of a span of time.
create index flights_time on flights (time_hour);
create index searches_at on searches (at);
