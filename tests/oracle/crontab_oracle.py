#!/usr/bin/env python3
"""Says when a crontab expression fires, slowly and plainly.

The tests hold Brasa's own crontab to this. It is written from the rules in the manual, by trying every
minute, so that a mistake would have to be made twice. It reads and prints one line for each question:

    {"cron": "30 2 * * *", "zone": "America/New_York", "from": "2026-03-08T00:00:00Z", "count": 2}
    ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]

`{"zone_data": "America/New_York"}` is answered with the bytes of that zone's TZif file, for whoever wants to
compare on the same time zone data.

All questions are read before the first answer. Firings are strictly after `from`; it looks 30 years ahead
and then answers with as many as it has found. The expression has to be a valid one, but its date may be
impossible: then nothing fires. All clock changes since 1973 are on whole minutes, older ones are not asked.
"""

import json
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone
from importlib import resources
from itertools import islice, product
from pathlib import Path

DAYS_AHEAD = 30 * 366
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def number(word, low, names):
    return names.index(word) + low if word in names else int(word)


def numbers(text, low, high, names=()):
    """The numbers that a field stands for."""
    found = set()
    for item in text.upper().split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (number(word, low, names) for word in span.split("-"))
            if first > last and span.endswith("-SUN"):
                last = 7
        else:
            first = number(span, low, names)
            last = high if step else first
        assert first <= last, text
        found.update(n for n in range(first, last + 1) if (n - first) % int(step or 1) == 0)
    assert min(found) >= low and max(found) <= high, text
    return found


class Cron:
    def __init__(self, text):
        fields = MACROS.get(text.strip(), text).split()
        if len(fields) == 5:
            fields.insert(0, "0")
        second, minute, hour, day, month, weekday = fields
        self.seconds = sorted(numbers(second, 0, 59))
        self.minutes = numbers(minute, 0, 59)
        self.hours = numbers(hour, 0, 23)
        self.days = numbers(day, 1, 31)
        self.months = numbers(month, 1, 12, MONTHS)
        self.weekdays = {n % 7 for n in numbers(weekday, 0, 7, WEEKDAYS)}
        self.either_day = day[0] != "*" and weekday[0] != "*"
        self.fixed = minute[0] != "*" and hour[0] != "*"

    def on_date(self, date):
        if date.month not in self.months:
            return False
        by_day = date.day in self.days
        by_weekday = date.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday

    def firings(self, zone, start):
        return self.fixed_times(zone, start) if self.fixed else self.clock_matches(zone, start)

    def fixed_times(self, zone, start):
        """Every naive time of the calendar, put on the clocks of the zone; what coincides fires once."""
        latest = start
        # No clock was ever put forward by more than a day.
        earliest = start.astimezone(zone).replace(tzinfo=None) - DAY - HOUR
        for date in (earliest.date() + n * DAY for n in range(DAYS_AHEAD)):
            if not self.on_date(date):
                continue
            for hour, minute in product(sorted(self.hours), sorted(self.minutes)):
                naive = datetime(date.year, date.month, date.day, hour, minute)
                if naive < earliest:
                    continue
                for second in self.seconds:
                    instant = first_instant(naive.replace(second=second), zone)
                    if instant > latest:
                        latest = instant
                        yield instant

    def clock_matches(self, zone, start):
        """Every minute of real time at which a clock in the zone shows a match."""
        today = datetime(start.year, start.month, start.day, tzinfo=timezone.utc)
        for day in (today + n * DAY for n in range(DAYS_AHEAD)):
            if not any(self.on_date((day + n * DAY).date()) for n in (-1, 0, 1)):
                continue
            for hour in (day + n * HOUR for n in range(24)):
                if hour + HOUR > start and self.in_hour(hour, zone):
                    yield from self.clock_matches_in(hour, zone, start)

    def in_hour(self, hour, zone):
        """Whether an hour of real time can show an hour of ours; always if a clock change is in it."""
        first, last = (at.astimezone(zone) for at in (hour, hour + 59 * MINUTE))
        changes = first.utcoffset() != last.utcoffset()
        return changes or first.hour in self.hours or last.hour in self.hours

    def clock_matches_in(self, hour, zone, start):
        for minute in (hour + n * MINUTE for n in range(60)):
            local = minute.astimezone(zone)
            assert local.second == 0, f"{zone} is not on whole minutes at {minute}"
            shows_a_match = local.minute in self.minutes and local.hour in self.hours and self.on_date(local)
            if not shows_a_match or minute + MINUTE <= start:
                continue
            for second in self.seconds:
                instant = minute.replace(second=second)
                if instant > start:
                    yield instant


def first_instant(naive, zone):
    """The first pass of a naive time; for a time that is jumped over, the first instant after the jump."""
    while True:
        instant = naive.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
        if instant.astimezone(zone).replace(tzinfo=None, fold=0) == naive:
            return instant
        naive = naive.replace(second=0) + MINUTE


def zone_data(name):
    """The file that zoneinfo would read: the machine's own, or else that of the package tzdata."""
    candidates = [Path(folder, name) for folder in zoneinfo.TZPATH]
    found = next((path for path in candidates if path.is_file()), None)
    try:
        return (found or resources.files("tzdata") / "zoneinfo" / name).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise zoneinfo.ZoneInfoNotFoundError(f"no time zone data of {name}") from None


def answer(question):
    if "zone_data" in question:
        return list(zone_data(question["zone_data"]))
    zone = zoneinfo.ZoneInfo(question["zone"])
    start = datetime.fromisoformat(question["from"].replace("Z", "+00:00"))
    firings = Cron(question["cron"]).firings(zone, start)
    return [at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in islice(firings, question["count"])]


def main():
    questions = [json.loads(line) for line in sys.stdin]
    try:
        for question in questions:
            print(json.dumps(answer(question)))
    except zoneinfo.ZoneInfoNotFoundError as error:
        sys.exit(f"{error}: install the package tzdata (apt-get install tzdata, or pip install tzdata)")


if __name__ == "__main__":
    main()
