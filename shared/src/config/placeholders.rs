//! Which of `$1`, `$2`, … a statement uses, and how it begins, without asking a database.
//!
//! This follows the lexical rules of Postgres as far as they hide a dollar sign: texts, quoted names,
//! dollar quotes, comments and names that hold a `$`. It does not know the grammar; whether the
//! statement is one is for the database to say.

/// The highest number of a placeholder in a statement; 0 if it has none.
pub fn highest_placeholder(sql: &str) -> u32 {
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    let mut highest = 0;
    while scanner.at < scanner.bytes.len() {
        highest = highest.max(scanner.step().unwrap_or(0));
    }
    highest
}

/// The statement with other text in the place of its placeholders.
pub fn replace_placeholders(sql: &str, text_for: impl Fn(u32) -> String) -> String {
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    let (mut replaced, mut copied) = (String::with_capacity(sql.len() * 2), 0);
    while scanner.at < scanner.bytes.len() {
        let from = scanner.at;
        if let Some(number) = scanner.step() {
            replaced.push_str(sql.get(copied..from).unwrap_or_default());
            replaced.push_str(&text_for(number));
            copied = scanner.at;
        }
    }
    replaced.push_str(sql.get(copied..).unwrap_or_default());
    replaced
}

/// The statement up to its last word: without the semicolon that would end it inside another, and without comments
/// behind.
pub fn without_end(sql: &str) -> &str {
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    let mut end = 0;
    while scanner.at < scanner.bytes.len() {
        match (scanner.peek(0), scanner.peek(1)) {
            (b'-', b'-') => scanner.skip_line(),
            (b'/', b'*') => scanner.skip_comment(),
            (byte, _) if byte.is_ascii_whitespace() || byte == b';' => scanner.at += 1,
            _ => {
                scanner.step();
                end = scanner.at;
            }
        }
    }
    sql.get(..end).unwrap_or(sql)
}

/// The first word of a statement, behind white space and comments, in lower case; empty if there is none.
pub(super) fn first_word(sql: &str) -> String {
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    loop {
        match (scanner.peek(0), scanner.peek(1)) {
            (b'-', b'-') => scanner.skip_line(),
            (b'/', b'*') => scanner.skip_comment(),
            (byte, _) if byte.is_ascii_whitespace() || byte == b'(' => scanner.at += 1,
            _ => break,
        }
    }
    let from = scanner.at;
    scanner.skip_word();
    let word = sql.as_bytes().get(from..scanner.at).unwrap_or_default();
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// Which of these words, all in lower case, a statement uses first: as a name, not in a text or a comment.
pub(super) fn first_of<'w>(sql: &str, words: &[&'w str]) -> Option<&'w str> {
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    while scanner.at < scanner.bytes.len() {
        let from = scanner.at;
        scanner.step();
        let token = sql.get(from..scanner.at).unwrap_or_default();
        if let Some(word) = words.iter().find(|word| token.eq_ignore_ascii_case(word)) {
            return Some(word);
        }
    }
    None
}

/// Walks bytes: all that matters here is ASCII, and no byte of a longer character is.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// Skips one token, and gives its number if it is a placeholder. Always moves on.
    fn step(&mut self) -> Option<u32> {
        match (self.peek(0), self.peek(1)) {
            (b'\'', _) => self.skip_quoted(b'\'', false),
            (b'"', _) => self.skip_quoted(b'"', false),
            (b'e' | b'E', b'\'') => {
                self.at += 1;
                self.skip_quoted(b'\'', true);
            }
            (b'-', b'-') => self.skip_line(),
            (b'/', b'*') => self.skip_comment(),
            (b'$', b'0'..=b'9') => return Some(self.number()),
            (b'$', _) => self.skip_dollar_quoted(),
            (first, _) if starts_word(first) => self.skip_word(),
            _ => self.at += 1,
        }
        None
    }

    /// The byte that is `ahead` of here; 0 beyond the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips to behind the closing quote; doubled quotes, and escaped ones in `E'…'`, do not close.
    fn skip_quoted(&mut self, quote: u8, has_escapes: bool) {
        self.at += 1;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'\\', _) if has_escapes => self.at += 2,
                (first, second) if first == quote && second == quote => self.at += 2,
                (first, _) => {
                    self.at += 1;
                    if first == quote {
                        return;
                    }
                }
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Skips a comment, and the comments inside it.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Skips `$tag$…$tag$`, or a lone dollar sign.
    fn skip_dollar_quoted(&mut self) {
        let rest = &self.bytes[self.at..];
        let tag_length = rest[1..].iter().take_while(|byte| continues_word(**byte) && **byte != b'$').count();
        let Some(delimiter) = rest.get(..tag_length + 2).filter(|delimiter| delimiter.ends_with(b"$")) else {
            self.at += 1;
            return;
        };
        let body = &rest[delimiter.len()..];
        let length = body.windows(delimiter.len()).position(|window| window == delimiter);
        self.at += length.map_or(rest.len(), |length| length + 2 * delimiter.len());
    }

    /// Skips a name or a key word, with the dollar signs in it.
    fn skip_word(&mut self) {
        while continues_word(self.peek(0)) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> u32 {
        self.at += 1;
        let mut number: u32 = 0;
        while let digit @ b'0'..=b'9' = self.peek(0) {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            self.at += 1;
        }
        number
    }
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_begins_behind_comments_and_brackets() {
        for (sql, word) in [
            ("select 1", "select"),
            ("  -- begin\n /* set /* x */ */ BEGIN; select 1", "begin"),
            ("(select 1)", "select"),
            ("", ""),
            ("'text'", ""),
        ] {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }

    #[test]
    fn a_statement_ends_before_its_semicolon_and_what_is_said_behind() {
        for (sql, without) in [
            ("select 1", "select 1"),
            ("select 1 ;\n", "select 1"),
            ("select ';' -- here; \n; -- the end\n/* ; */", "select ';'"),
            ("-- first\nselect /* ; */ 1; select 2;", "-- first\nselect /* ; */ 1; select 2"),
            ("select $q$;$q$;", "select $q$;$q$"),
            ("select 'ñ';", "select 'ñ'"),
            ("select 'ñ", "select 'ñ"),
            (" ; ", ""),
        ] {
            assert_eq!(without_end(sql), without, "{sql}");
        }
    }

    #[test]
    fn placeholders_outside_of_texts_and_comments_are_replaced() {
        let sql = "select 'ñ$1', $1, a$2 /* $3 */ from t where x = any($12)--$1";
        let replaced = replace_placeholders(sql, |number| format!("<{number}>"));
        assert_eq!(replaced, "select 'ñ$1', <1>, a$2 /* $3 */ from t where x = any(<12>)--$1");
    }

    #[test]
    fn the_highest_placeholder_outside_of_texts_and_comments_counts() {
        let cases = [
            ("", 0),
            ("select 1", 0),
            ("select $1", 1),
            ("select $2 + $10 - $1", 10),
            ("select $1::int, a.b=$3and", 3),
            ("select '$5', $1", 1),
            ("select 'it''s $5', $1", 1),
            (r"select '\', $2", 2),
            (r"select E'\'$5', $1", 1),
            (r"select e'\\', $2", 2),
            (r"select date'\', $2", 2),
            (r#"select "a$5""b $6" from t where x = $1"#, 1),
            ("select $$ $5 $$, $1", 1),
            ("select $q$ $5 $$ $6 $q$, $1", 1),
            ("select $é$ $5 $é$, $1", 1),
            ("select a$5 from t where x = $1", 1),
            ("select 1 -- $5\n, $1", 1),
            ("select 1 -- $5", 0),
            ("select /* $5 /* $6 */ $7 */ $1", 1),
            ("select 1 - -$2 / $1", 2),
            ("select $99999999999", u32::MAX),
            ("$", 0),
            ("$$", 0),
            ("$tag", 0),
            ("'open $5", 0),
            ("/* open $5", 0),
            ("E'open \\", 0),
            ("$q$ open $5", 0),
        ];
        for (sql, expected) in cases {
            assert_eq!(highest_placeholder(sql), expected, "{sql}");
        }
    }
}
