//! Lines over time, with what is needed to read them: a scale, times, a threshold, the latest values, and all of them
//! as a table. Drawn as SVG inside of the page; texts stand beside the drawing and not in it, so that they keep their
//! size.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

/// The width and height of the drawing; the page scales it.
const SIZE: (f64, f64) = (600.0, 100.0);
/// How many lines can be told apart.
pub(crate) const LINES_MAX: usize = 6;
/// The marks that a scale of times can have, in ms.
const MARKS: [(f64, &str); 11] = [
    (0.5, "< 1 ms"),
    (1.0, "1 ms"),
    (10.0, "10 ms"),
    (100.0, "100 ms"),
    (1_000.0, "1 s"),
    (10_000.0, "10 s"),
    (60_000.0, "1 min"),
    (600_000.0, "10 min"),
    (3_600_000.0, "1 h"),
    (36_000_000.0, "10 h"),
    (86_400_000.0, "1 d"),
];
/// How many marks a scale bears.
const MARKS_MAX: usize = 6;

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it is called.
    pub(crate) name: String,
    /// A value for each time; none where it is not known.
    pub(crate) values: Vec<Option<f64>>,
}

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From nothing to what is needed.
    Amount,
    /// The same of bytes, which are counted by 1,024.
    Bytes,
    /// From nothing to all of it: values are shares, from 0 to 1.
    Share,
    /// Values are times in ms; each mark is about ten times the one below, so that short ones and long ones can be
    /// read.
    Time,
}

/// Lines over time.
pub(crate) struct Plot<'p> {
    /// Unique in the page.
    pub(crate) id: &'p str,
    /// What it shows.
    pub(crate) title: &'p str,
    /// When each step begins, ms since 1970, the oldest first.
    pub(crate) times: &'p [i64],
    /// At most [`LINES_MAX`].
    pub(crate) lines: Vec<Line>,
    /// How values become heights.
    pub(crate) scale: Scale,
    /// From which value on it is too much.
    pub(crate) limit: Option<f64>,
    /// A value in words.
    pub(crate) tell: fn(f64) -> String,
}

/// A mark of a scale: how high, from 0 to 1, and what stands there.
type Mark = (f64, String);

impl Plot<'_> {
    /// All of it.
    pub(crate) fn draw(&self) -> Markup {
        let ruler = Ruler::of(self);
        html! {
            figure.plot #(self.id) {
                figcaption { (self.title) }
                (self.legend())
                div.frame {
                    svg.scale aria-hidden="true" {
                        @for (height, text) in &ruler.marks { text x="100%" y=(format!("{:.1}%", (1.0 - height) * 100.0)) { (text) } }
                    }
                    (self.drawing(&ruler))
                }
                @let [first, middle, last] = self.edges();
                div.times aria-hidden="true" { span { (clock(first)) } span { (clock(middle)) } span { (clock(last)) " UTC" } }
                (self.table())
            }
        }
    }

    /// The latest value of each line, and whether it is too much.
    fn legend(&self) -> Markup {
        html! {
            ul.keys {
                @for (place, line) in self.lines.iter().take(LINES_MAX).enumerate() {
                    li class=(format!("key l{place}")) {
                        svg viewBox="0 0 24 8" aria-hidden="true" { line x1="1" y1="4" x2="23" y2="4" {} }
                        span { (line.name) }
                        @match line.latest() {
                            Some(value) if self.is_over(value) => { strong.bad { (self.words(value)) " · too much" } }
                            Some(value) => { strong { (self.words(value)) } }
                            None => { span.dim { "-" } }
                        }
                    }
                }
            }
        }
    }

    fn drawing(&self, ruler: &Ruler) -> Markup {
        let (width, height) = SIZE;
        let (title, about) = (format!("{}-title", self.id), format!("{}-about", self.id));
        let level = |share: f64| format!("{:.1}", (1.0 - share) * height);
        html! {
            svg.drawing viewBox=(format!("0 0 {width} {height}")) preserveAspectRatio="none" role="img"
                aria-labelledby=(format!("{title} {about}")) {
                title #(title) { (self.title) }
                desc #(about) { (self.about()) }
                @for (share, _) in &ruler.marks { line.grid x1="0" x2=(width) y1=(level(*share)) y2=(level(*share)) {} }
                @if let Some(limit) = self.limit {
                    line.limit x1="0" x2=(width) y1=(level(ruler.height(limit))) y2=(level(ruler.height(limit))) {}
                }
                @for (place, line) in self.lines.iter().take(LINES_MAX).enumerate() {
                    @for points in self.strokes(line, ruler) { polyline class=(format!("line l{place}")) points=(points) {} }
                }
            }
        }
    }

    /// A line as strokes: one that is interrupted where nothing is known. A value that stands alone is a short dash.
    fn strokes(&self, line: &Line, ruler: &Ruler) -> Vec<String> {
        let (width, height) = SIZE;
        #[expect(clippy::cast_precision_loss, reason = "a place on a drawing")]
        let step = width / (self.times.len().max(2) - 1) as f64;
        let (mut strokes, mut x) = (vec![Vec::new()], -step);
        for value in &line.values {
            x += step;
            match value {
                None => strokes.push(Vec::new()),
                Some(value) => {
                    if let Some(stroke) = strokes.last_mut() {
                        stroke.push((x, (1.0 - ruler.height(*value)) * height));
                    }
                }
            }
        }
        let half = (step / 3.0).max(4.0);
        let spell = |stroke: Vec<(f64, f64)>| match stroke.as_slice() {
            [(x, y)] => format!("{:.1},{y:.1} {:.1},{y:.1}", x - half, x + half),
            all => all.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" "),
        };
        strokes.into_iter().filter(|stroke| !stroke.is_empty()).map(spell).collect()
    }

    /// The drawing in words.
    fn about(&self) -> String {
        let told = |line: &Line| match (line.latest(), line.highest()) {
            (Some(latest), Some(highest)) => {
                format!("{}: latest {}, at most {}.", line.name, self.words(latest), self.words(highest))
            }
            _ => format!("{}: not known.", line.name),
        };
        let [first, _, last] = self.edges();
        let mut about = format!("From {} to {} UTC.", clock(first), clock(last));
        for line in self.lines.iter().take(LINES_MAX) {
            about.push(' ');
            about.push_str(&told(line));
        }
        if let Some(limit) = self.limit {
            about.extend([" More than ", &self.words(limit), " is too much."]);
        }
        about
    }

    fn table(&self) -> Markup {
        let is_known = |place: &usize| self.lines.iter().any(|line| line.at(*place).is_some());
        let places: Vec<usize> = (0..self.times.len()).rev().filter(is_known).collect();
        html! {
            details #(format!("{}-table", self.id)) {
                summary { "As a table" }
                div.wide.low tabindex="0" { table {
                    thead { tr { th { "From (UTC)" } @for line in &self.lines { th.n { (line.name) } } } }
                    tbody {
                        @for place in places {
                            tr {
                                td { (self.times.get(place).map_or_else(String::new, |at| clock(*at))) }
                                @for line in &self.lines { td.n { (line.at(place).map_or_else(|| "-".to_owned(), self.tell)) } }
                            }
                        }
                    }
                } }
            }
        }
    }

    fn is_over(&self, value: f64) -> bool {
        self.limit.is_some_and(|limit| value > limit)
    }

    fn words(&self, value: f64) -> String {
        (self.tell)(value)
    }

    /// The first time, one in the middle, and the last.
    fn edges(&self) -> [i64; 3] {
        let at = |place: usize| self.times.get(place).copied().unwrap_or(0);
        let last = self.times.len().saturating_sub(1);
        [at(0), at(last / 2), at(last)]
    }
}

impl Line {
    fn at(&self, place: usize) -> Option<f64> {
        self.values.get(place).copied().flatten()
    }

    fn latest(&self) -> Option<f64> {
        self.values.iter().rev().flatten().next().copied()
    }

    pub(crate) fn highest(&self) -> Option<f64> {
        self.values.iter().flatten().copied().reduce(f64::max)
    }
}

/// From where to where a scale goes, and its marks.
struct Ruler {
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<Mark>,
}

impl Ruler {
    fn of(plot: &Plot<'_>) -> Self {
        let known = || plot.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let mut ruler = Self { scale: plot.scale, low: 0.0, high: 1.0, marks: Vec::new() };
        let mut wanted: Vec<(f64, String)> = match plot.scale {
            Scale::Amount => {
                ruler.high = round_up(known().chain(plot.limit).fold(0.0, f64::max));
                [0.0, ruler.high / 2.0, ruler.high].map(|value| (value, plot.words(value))).into()
            }
            Scale::Bytes => {
                let most = known().chain(plot.limit).fold(0.0, f64::max);
                let unit = [1_073_741_824.0, 1_048_576.0, 1_024.0].into_iter().find(|unit| most >= *unit);
                let unit = unit.unwrap_or(1.0);
                ruler.high = round_up(most / unit) * unit;
                [0.0, ruler.high / 2.0, ruler.high].map(|value| (value, plot.words(value))).into()
            }
            Scale::Share => [0.0, 0.5, 1.0].map(|value| (value, plot.words(value))).into(),
            Scale::Time => {
                let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
                let begin = MARKS.iter().rposition(|(ms, _)| *ms <= least).unwrap_or(0).min(MARKS.len() - 2);
                let end = MARKS.iter().position(|(ms, _)| *ms >= most).unwrap_or(MARKS.len() - 1);
                let marks = MARKS.get(begin..=end.max(begin + 1)).unwrap_or_default();
                (ruler.low, ruler.high) =
                    (marks.first().map_or(1.0, |mark| mark.0), marks.last().map_or(10.0, |mark| mark.0));
                // Of many each second one, counted from above.
                let every = marks.len().div_ceil(MARKS_MAX);
                marks.iter().rev().step_by(every).map(|(ms, text)| (*ms, (*text).to_owned())).collect()
            }
        };
        wanted.extend(plot.limit.map(|limit| (limit, plot.words(limit))));
        ruler.marks = wanted.into_iter().map(|(value, text)| (ruler.height(value), text)).collect();
        ruler
    }

    /// How high a value is, from 0 to 1.
    fn height(&self, value: f64) -> f64 {
        let height = match self.scale {
            Scale::Time => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            Scale::Amount | Scale::Bytes | Scale::Share => (value - self.low) / (self.high - self.low),
        };
        height.clamp(0.0, 1.0)
    }
}

/// The next larger one of 2, 4, 10, 20, 40, …: half of it is a plain number, too.
fn round_up(value: f64) -> f64 {
    let (mut top, mut factors) = (2.0, [2.0, 2.5, 2.0].into_iter().cycle());
    while top < value {
        top *= factors.next().unwrap_or(2.0);
    }
    top
}

/// What a clock shows, in UTC.
fn clock(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC);
    at.strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, values: &[Option<f64>]) -> Plot<'static> {
        let lines = vec![Line { name: "a <b>".to_owned(), values: values.to_vec() }];
        let tell = |value: f64| format!("{value}!");
        Plot { id: "x", title: "T", times: &[0, 60_000, 120_000], lines, scale, limit: None, tell }
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_is_known() {
        let plot = plot(Scale::Amount, &[Some(0.0), None, Some(4.0)]);
        let strokes = plot.strokes(&plot.lines[0], &Ruler::of(&plot));
        assert_eq!(strokes, ["-100.0,100.0 100.0,100.0", "500.0,0.0 700.0,0.0"]);
        let page = plot.draw().into_string();
        assert!(page.contains("a &lt;b&gt;") && !page.contains("<b>"), "{page}");
        assert!(page.contains("From 00:00 to 00:02 UTC. a &lt;b&gt;: latest 4!, at most 4!."), "{page}");
    }

    #[test]
    fn scales_have_plain_marks() {
        let tops = [0.0, 2.1, 5.0, 11.0, 99.0, 2_500.0].map(|value| round_up(value).to_string());
        assert_eq!(tops, ["2", "4", "10", "20", "100", "4000"]);
        let marks = |values: &[Option<f64>]| {
            let ruler = Ruler::of(&plot(Scale::Time, values));
            ruler.marks.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(marks(&[Some(12.0), Some(700.0)]), ["1 s", "100 ms", "10 ms"]);
        assert_eq!(marks(&[Some(0.5)]), ["1 ms", "< 1 ms"]);
        assert_eq!(marks(&[]), ["1 d", "10 h"]);
        assert!(marks(&[Some(0.5), Some(1e9)]).len() <= MARKS_MAX);
    }

    #[test]
    fn what_is_too_much_is_said_in_words() {
        let mut plot = plot(Scale::Share, &[Some(0.25), Some(0.9), None]);
        plot.limit = Some(0.8);
        let page = plot.draw().into_string();
        assert!(page.contains("0.9! · too much") && page.contains("More than 0.8! is too much."), "{page}");
    }
}
