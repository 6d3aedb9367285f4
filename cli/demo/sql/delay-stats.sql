-- How late flights to each destination are.
select dest,
       jsonb_build_object('flights', count(*),
                          'mean_minutes', round(avg(arr_delay), 1),
                          'p90_minutes', percentile_disc(0.9) within group (order by arr_delay),
                          'cancelled', count(*) filter (where dep_time is null)) as value
from flights
where dest = any($1)
group by dest
