//! How an endpoint knows that a request comes from here, that it is fresh, and that nobody changed it.
//!
//! `brasa-signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `SECONDS.JOB-ID.BODY` under the secret. While one
//! secret takes over from another there are two `v1`, one of each, so that an endpoint that knows either is content.

use std::fmt::Write as _;

use brasa_shared::config::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of `brasa-signature`; none without a secret.
pub(super) fn signature(secrets: &[Secret], seconds: i64, job: &str, body: &str) -> Option<String> {
    let mut value = format!("t={seconds}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
        for part in [seconds.to_string().as_str(), ".", job, ".", body] {
            mac.update(part.as_bytes());
        }
        value.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            // Writing into a text does not fail.
            write!(value, "{byte:02x}").ok()?;
        }
    }
    (!secrets.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -hmac`.
    #[test]
    fn a_signature_is_what_any_other_tool_makes_of_it() {
        let secrets = ["a-secret-of-the-test", "an-older-one-of-them"].map(|text| Secret::new(text, ""));
        let of_one = "t=1767225600,v1=a7a34ea0fd858155a7e8a34849ae0f923ca0b2dd527d870428ee49f3df362b10";
        assert_eq!(signature(&secrets[..1], 1_767_225_600, "01J", r#"{"n":1}"#).as_deref(), Some(of_one));
        let of_both = format!("{of_one},v1=778c60b8cae6d948829b9b8e6fa31df4065cf21163f5e190e1283d792f8e5ef3");
        assert_eq!(signature(&secrets, 1_767_225_600, "01J", r#"{"n":1}"#), Some(of_both));
        assert_eq!(signature(&[], 1_767_225_600, "01J", "{}"), None);
    }
}
