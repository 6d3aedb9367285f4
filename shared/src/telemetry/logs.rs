//! Logs: one line an event, JSON for machines or text for people, always on standard error.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal, Stderr, Write};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::SystemTime;

use crate::harmless::harmless;

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogForm {
    /// For people where a terminal is attached, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts to write logs at `level` (a filter such as `info` or `brasa_worker=debug`); `RUST_LOG` wins.
/// A filter that cannot be read counts as `info`. Later calls change nothing.
pub fn install(form: LogForm, level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let json = form == LogForm::Json || (form == LogForm::Auto && !terminal);
    // What cannot be written (the disk is full, whoever reads the pipe is gone) is lost, and the work goes on: the
    // subscriber would say so on standard error, and panic where that cannot be written either.
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .log_internal_errors(false);
    // An error means that a subscriber is there already, which then goes on.
    let _installed = if json {
        let base = base.json().flatten_event(true).with_current_span(true).with_span_list(false);
        base.with_writer(|| Escaped(io::stderr())).try_init()
    } else {
        base.with_ansi(terminal).with_target(false).fmt_fields(debug_fn(field).delimited(" ")).try_init()
    };
}

/// Writes records of JSON. What makes it escapes C0, as JSON demands, and leaves DEL and C1, which steer terminals, too.
struct Escaped(Stderr);

impl Write for Escaped {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let mut shown = String::with_capacity(record.len());
        for c in String::from_utf8_lossy(record).chars() {
            // Beyond the end of the line they are inside of texts.
            if c.is_control() && c != '\n' {
                let _infallible = write!(shown, "\\u{:04x}", u32::from(c));
            } else {
                shown.push(c);
            }
        }
        self.0.write_all(shown.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes a field for people: what it holds stays in its line and steers nothing. Colours are none of fields.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    writer.write_str(&harmless(format!("{value:?}").chars()))
}

/// An error and its causes in one line, without saying anything twice.
///
/// Of what Postgres says, the message and the code are told. The driver's own words would add the line of
/// Postgres' source code, which reads as if it were one of the statement.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let database = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        let said = match database {
            None => error.to_string(),
            Some(database) => match database.code() {
                None => database.message().to_owned(),
                Some(code) => format!("{} (SQLSTATE {code})", database.message()),
            },
        };
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        next = if database.is_some() { None } else { error.source() };
    }
    text
}
