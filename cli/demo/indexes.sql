create index flights_origin_time on flights (origin, time_hour);
create index flights_dest on flights (dest);
