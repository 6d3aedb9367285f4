-- The next twenty departures of each airport and day that is asked for.
select asked.origin, asked.day, jsonb_agg(board.entry order by board.time_hour, board.flight) as value
from unnest($1::text[], $2::date[]) as asked (origin, day)
cross join lateral (
    select f.time_hour, f.flight,
           jsonb_build_object('flight', f.carrier || f.flight, 'to', f.dest, 'at', f.time_hour,
                              'delay_minutes', f.dep_delay) as entry
    from flights f
    where f.origin = asked.origin
      and f.time_hour >= asked.day and f.time_hour < asked.day + 1
    order by f.time_hour, f.flight
    limit 20
) as board
group by asked.origin, asked.day
