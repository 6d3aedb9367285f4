-- Bookings of a year, most of which have been flown and deleted. What is left of them is a fraction, in indexes that are as
-- large as before: the demo vacuums the table, and rebuilds what is worth it.
create table bookings (
    id     bigint primary key generated always as identity,
    flight int not null,
    dest   text not null,
    at     timestamptz not null
);
insert into bookings (flight, dest, at)
select flight, dest, time_hour from flights where flight is not null order by hashtext(tailnum || day) limit 120000;
create index bookings_dest_at on bookings (dest, at);
-- Nobody needs this one beside the other: a review says so.
create index bookings_dest on bookings (dest);
delete from bookings where at < '2013-11-15';
