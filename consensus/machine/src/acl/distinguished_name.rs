//! Which texts name the subject of a certificate: what Java's `X500Principal` takes.

/// The kinds of attributes that have a name.
const KEYWORDS: &[&str] = &[
    "C",
    "CN",
    "DC",
    "DNQ",
    "DNQUALIFIER",
    "EMAIL",
    "EMAILADDRESS",
    "GENERATION",
    "GIVENNAME",
    "INITIALS",
    "IP",
    "L",
    "O",
    "OU",
    "S",
    "SERIALNUMBER",
    "ST",
    "STREET",
    "SURNAME",
    "T",
    "UID",
];

/// What stands in a value only between quotes or behind a backslash.
const ESCAPED: &[char] = &[',', '+', '<', '>', ';', '"'];

/// Whether this names a subject: attributes parted by `,` or `;`, or `+` where several make one step. Nothing at all is
/// the empty subject.
pub(super) fn is_legal(name: &str) -> bool {
    name.is_empty() || split(name, &[',', ';', '+']).is_some_and(|parts| parts.into_iter().all(is_attribute))
}

/// The parts between separators that are neither quoted nor escaped; `None` if a quote does not end.
fn split<'a>(name: &'a str, separators: &[char]) -> Option<Vec<&'a str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in name.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && separators.contains(&c) => {
                parts.push(&name[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&name[start..]);
    (!quoted && !escaped).then_some(parts)
}

/// `KEYWORD=value` or `1.2.3=value`.
fn is_attribute(text: &str) -> bool {
    let Some((kind, value)) = text.split_once('=') else { return false };
    is_kind(kind.trim()) && is_value(value.trim_matches([' ', '\n']), value)
}

fn is_kind(kind: &str) -> bool {
    let upper = kind.to_ascii_uppercase();
    KEYWORDS.contains(&&*upper) || is_object_identifier(upper.strip_prefix("OID.").unwrap_or(&upper))
}

/// At least two numbers, of which the first is at most 2, and the second at most 39 unless the first is 2.
fn is_object_identifier(text: &str) -> bool {
    let is_number = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
    let mut arcs = text.split('.');
    let (Some(first), Some(second)) = (arcs.next(), arcs.next()) else { return false };
    let root = ["0", "1", "2"].contains(&first);
    let below = is_number(second) && (first == "2" || second.parse::<u8>().is_ok_and(|second| second < 40));
    root && below && arcs.all(is_number)
}

/// The value without the blanks around it, and with them: one may be escaped.
fn is_value(trimmed: &str, whole: &str) -> bool {
    if let Some(hex) = trimmed.strip_prefix('#') {
        return is_encoded(hex);
    }
    match trimmed.strip_prefix('"') {
        Some(quoted) => {
            let Some(inside) = quoted.strip_suffix('"') else { return false };
            is_plain(inside, &|c| c == '"', &|c| c == '\\' || ESCAPED.contains(&c))
        }
        None => is_plain(whole, &|c| ESCAPED.contains(&c), &|c| ",=\n+<>#;\\\" ".contains(c)),
    }
}

/// Whether what may not stand alone is escaped, and nothing else is. Two hexadecimal digits behind a backslash are a byte.
fn is_plain(text: &str, forbidden: &dyn Fn(char) -> bool, escapable: &dyn Fn(char) -> bool) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some(c) if c.is_ascii_hexdigit() => {
                    if !chars.next().is_some_and(|c| c.is_ascii_hexdigit()) {
                        return false;
                    }
                }
                Some(c) if escapable(c) => {}
                _ => return false,
            }
        } else if forbidden(c) {
            return false;
        }
    }
    true
}

/// Hexadecimal digits of one value as certificates encode them: a tag, a length, and so many bytes.
fn is_encoded(hex: &str) -> bool {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let Some(digits) = digits.filter(|digits| digits.len() % 2 == 0) else { return false };
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let Some((&length, rest)) = bytes.get(1..).and_then(|bytes| bytes.split_first()) else { return false };
    match length {
        0..=0x7f => rest.len() == usize::from(length),
        0x81..=0x84 => {
            let (size, value) = rest.split_at(rest.len().min(usize::from(length & 0x7f)));
            size.len() == usize::from(length & 0x7f)
                && value.len() == size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ZooKeeper 3.9.5 on Java 17 answered a create with each of them.
    #[test]
    fn java_takes_these() {
        for name in [
            "",
            "CN=a",
            "CN=a,O=b",
            "cn = a , o = b",
            "CN=",
            "1.2.3=a",
            "OID.1.2.3=a",
            "CN=a+OU=b",
            "CN=\"a,b\"",
            "CN=a\\,b",
            "CN=a;O=b",
            "EMAILADDRESS=x@y",
            "DC=x",
            "UID=u",
            "ST=a",
            "S=a",
            "CN=a b",
            "CN= a",
            "CN=a=b",
            "C=DE1",
            "SERIALNUMBER=1",
            "T=x",
            "CN=\\E4",
            "1.2.3=",
            "CN=ä",
            "GIVENNAME=x",
            "emailAddress=a",
            "STREET=a",
            "CN=a\\ ",
            "IP=1",
            "DNQ=1",
            "DNQUALIFIER=1",
            "SURNAME=x",
            "INITIALS=x",
            "GENERATION=x",
            "O = \"x\" , CN=y",
        ] {
            assert!(is_legal(name), "{name}");
        }
    }

    #[test]
    fn java_does_not_take_these() {
        for name in [
            "a",
            "CN=a,",
            "XX=a",
            "CN=#0401",
            "1.2.3=#0401",
            "E=x",
            "=a",
            "CN",
            "CN=a,,O=b",
            "CN=<a>",
            "CN=\"a",
            "CN=a\"",
            "CN=a\\",
            "CN=a+",
            "1=a",
            "3.1=a",
            "CN=a\"b",
            "CN=\"a\"b",
            "CN=#zz",
            "TITLE=x",
        ] {
            assert!(!is_legal(name), "{name}");
        }
    }
}
