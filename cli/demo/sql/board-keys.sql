-- Every airport of New York City, and every day of January.
select origin, day
from (values ('EWR'), ('JFK'), ('LGA')) as airports (origin),
     generate_series(date '2013-01-01', date '2013-01-31', interval '1 day') as days (moment),
     lateral (select moment::date as day) as dated
