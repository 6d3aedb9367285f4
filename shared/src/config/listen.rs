//! Where a process answers: from the environment or from the file, or nowhere.

use std::net::SocketAddr;

use super::complaint::{Complaint, clip};
use super::section::Section;

/// The word that opens nothing.
const OFF: &str = "off";

/// The address, and whether it was asked for; the variable wins over the key `listen`.
pub(super) fn listen(
    section: &mut Section<'_>,
    variable: &str,
    default: SocketAddr,
) -> (Option<SocketAddr>, bool) {
    let written = section.parsed("listen", |text| address(text, default));
    let asked = match section.reader().variable(variable) {
        None => written,
        Some(value) => {
            let report = |complaint: Complaint| {
                section.reader().report_variable(variable, complaint.message, complaint.help);
            };
            address(value.trim(), default).map_err(report).ok()
        }
    };
    asked.map_or((Some(default), false), |asked| (asked, true))
}

fn address(text: &str, default: SocketAddr) -> Result<Option<SocketAddr>, Complaint> {
    if text == OFF {
        return Ok(None);
    }
    let complain = |_| {
        let help = format!(r#"write an address and a port, as in "{default}", or "{OFF}""#);
        Complaint::new(format!("`{}` is not an address with a port", clip(text)), help)
    };
    text.parse().map(Some).map_err(complain)
}
