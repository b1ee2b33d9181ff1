//! The subject of a certificate as Java writes it (`X500Principal.getName()`), since that is what stands in ACLs.
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::Name;

/// The kinds of attributes that RFC 2253 has names for.
const KEYWORDS: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The subject of this certificate; `None` if it cannot be read.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    written(Certificate::from_der(certificate).ok()?.tbs_certificate().subject())
}

fn written(name: &Name) -> Option<String> {
    let mut steps = Vec::new();
    for step in name.iter_rdn() {
        let attributes: Option<Vec<String>> = step.iter().map(attribute).collect();
        steps.push(attributes?.join("+"));
    }
    steps.reverse();
    Some(steps.join(","))
}

/// What has no name, or is no text, is written as it is encoded.
fn attribute(attribute: &AttributeTypeAndValue) -> Option<String> {
    let oid = attribute.oid.to_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, keyword)| *keyword);
    let text = match attribute.value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::TeletexString
        | Tag::Ia5String
        | Tag::GeneralString
        | Tag::BmpString => Some(String::from_utf8_lossy(attribute.value.value())),
        _ => None,
    };
    Some(match (keyword, text) {
        (Some(keyword), Some(text)) => format!("{keyword}={}", escaped(&text)),
        (keyword, _) => {
            let encoded = attribute.value.to_der().ok()?;
            let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}=#{hex}", keyword.unwrap_or(&oid))
        }
    })
}

/// With a backslash in front of what means something else, and of blanks at either end.
fn escaped(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_blank = |c: &char| matches!(c, ' ' | '\r');
    let leading = chars.iter().take_while(|c| is_blank(c)).count();
    let trailing = chars.iter().rev().take_while(|c| is_blank(c)).count();
    let mut escaped = String::new();
    for (at, c) in chars.iter().enumerate() {
        match c {
            '\0' => escaped.push_str("\\00"),
            c if ",=+<>#;\"\\".contains(*c) || at < leading || at + trailing >= chars.len() => {
                escaped.extend(['\\', *c]);
            }
            c => escaped.push(*c),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
