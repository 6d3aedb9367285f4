//! What a page shows, and what was really said.
//!
//! Blanks and line breaks do not count. Numbers, and the units behind them, ids and hashes may be others. `…` stands
//! for anything.

/// Units that depend on how long something took or how large it was.
const UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "d", "h", "min", "ms", "s"];

/// From how many letters and digits on something with a digit in it is taken for an id or a hash.
const ID_LENGTH: usize = 8;

/// What of the page was not said, if anything.
pub(super) fn missing(shown: &str, said: &str) -> Option<String> {
    let (shown, said) = (vague(shown), vague(said));
    let mut rest = said.as_str();
    let pieces: Vec<&str> = shown.split('…').map(str::trim).collect();
    for (n, piece) in pieces.iter().enumerate() {
        let (is_first, is_last) = (n == 0, n + 1 == pieces.len());
        let at = match (is_first, is_last) {
            (true, true) => (rest == *piece).then_some(0),
            (true, false) => rest.starts_with(*piece).then_some(0),
            (false, true) => rest.len().checked_sub(piece.len()).filter(|_| rest.ends_with(*piece)),
            (false, false) => rest.find(*piece),
        };
        let Some(at) = at else { return Some(format!("`{piece}`\n  in: {rest}")) };
        rest = &rest[at + piece.len()..];
    }
    None
}

/// A text without all that may differ.
fn vague(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = vague_word(word);
        let bare = word.trim_end_matches([',', ';', ')', '.', ':']);
        match words.last() {
            Some(before) if UNITS.contains(&bare) && before.ends_with('0') => {
                words.push(word.replacen(bare, "s", 1));
            }
            _ => words.push(word),
        }
    }
    words.join(" ")
}

fn vague_word(word: &str) -> String {
    let mut vague = String::new();
    let mut run = String::new();
    for letter in word.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() {
            run.push(letter);
            continue;
        }
        // What `…` ends was cut off, and may be an id however short it is.
        let is_cut = letter == '…' && has_digits(&run) && run.chars().all(|c| c.is_ascii_hexdigit());
        vague.push_str(&if is_cut { "0".to_owned() } else { vague_run(&run) });
        run.clear();
        vague.push(letter);
    }
    let mut vague = vague.trim_end().to_owned();
    for joint in ["0.0", "0:0", "0-0"] {
        while vague.contains(joint) {
            vague = vague.replace(joint, "0");
        }
    }
    vague.replace("0T0", "0").replace("0+0", "0").replace("0Z", "0")
}

/// Letters and digits without a break.
fn vague_run(run: &str) -> String {
    let is_hash = run.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
    let is_ulid = !run.contains(|c: char| c.is_ascii_lowercase());
    if has_digits(run) && run.len() >= ID_LENGTH && (is_hash || is_ulid) {
        return "0".to_owned();
    }
    if !run.starts_with(|c: char| c.is_ascii_digit()) {
        return run.to_owned();
    }
    let rest = run.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("0{}", vague_run(rest))
}

fn has_digits(run: &str) -> bool {
    run.contains(|c: char| c.is_ascii_digit())
}

#[test]
fn what_may_differ_does_not_count() {
    assert_eq!(missing("done in 1 ms, attempt 1: {…}", "done in 1.4 s, attempt 2:\n {\"rows\":1}"), None);
    assert_eq!(
        missing(
            "enqueued 01M8130ANMVSRSPB6H3JP88TDN (a) into b",
            "enqueued 01M9X30ANMVSRSPB6H3JP88TDN (a) into b"
        ),
        None
    );
    assert!(missing("enqueued …", "would enqueue 3").is_some());
    assert!(missing("fine: 1 job", "fine: 1 job(s)").is_some());
}
