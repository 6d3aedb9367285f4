//! What is told, in words.

use std::fmt::Write as _;
use std::time::Duration;

use super::state::Word;

/// How many troubles one message spells out.
const SPELT_MAX: usize = 20;

/// One thing that is told.
pub(super) struct Told<'a> {
    pub(super) word: Word,
    /// For how long it has been, or was, so.
    pub(super) span: Duration,
    pub(super) text: &'a str,
}

/// A message about some of what began, is still so, and ended.
pub(super) fn message(prefix: &str, all: &[Told<'_>]) -> String {
    let count = |word: Word| all.iter().filter(|told| told.word == word).count();
    let parts = [(Word::Began, "began"), (Word::Still, "still there"), (Word::Ended, "ended")];
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(word, words)| (count(word), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let mut text = format!("Brasa `{}`: {}", plain(prefix), parts.join(", "));
    for told in all.iter().take(SPELT_MAX) {
        let span = span(told.span);
        let line = match told.word {
            Word::Began => format!("began {span} ago: {}", plain(told.text)),
            Word::Still => format!("still, for {span}: {}", plain(told.text)),
            Word::Ended => format!("ended after {span}: {}", plain(told.text)),
        };
        text.push_str("\n• ");
        text.push_str(&line);
    }
    if let Some(more) = all.len().checked_sub(SPELT_MAX).filter(|more| *more > 0) {
        // Writing into a text does not fail.
        let _written = write!(text, "\n• and {more} more: `brasa alerts status`");
    }
    text
}

/// What is sent to see whether it arrives.
pub(super) fn test(prefix: &str) -> String {
    format!("Brasa `{}`: this is a test. Messages about what is wrong arrive here.", plain(prefix))
}

/// A name must not call everybody in a channel, nor look like a link.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How long something lasts, for people: `5 min`.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(word: Word, text: &str) -> Told<'_> {
        Told { word, span: Duration::from_mins(6), text }
    }

    #[test]
    fn a_message_says_what_began_what_is_still_so_and_what_ended() {
        let all = [told(Word::Began, "queue `mail` waits"), told(Word::Ended, "no worker")];
        let expected = "Brasa `shop`: 1 began, 1 ended\n• began 6 min ago: queue `mail` waits\n• ended after 6 min: no worker";
        assert_eq!(message("shop", &all), expected);
    }

    #[test]
    fn a_name_calls_nobody() {
        let text = message("shop", &[told(Word::Still, "queue `<!channel>` waits")]);
        assert!(text.contains("&lt;!channel&gt;") && !text.contains('<'), "{text}");
    }

    #[test]
    fn a_message_about_very_much_is_not_very_long() {
        let all: Vec<_> = (0..25).map(|_| told(Word::Began, "so")).collect();
        let text = message("shop", &all);
        assert!(text.lines().count() == 22 && text.ends_with("and 5 more: `brasa alerts status`"), "{text}");
    }
}
