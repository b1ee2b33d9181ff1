//! The directives that a DIGEST-MD5 token consists of: `name=value` and `name="value"`, parted by commas.

/// The directives of a token, in their order; `None` if it is no such list. Empty places between commas are passed over,
/// as RFC 2831 wants.
pub(super) fn parse(token: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut directives = Vec::new();
    let mut rest = token;
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [] => return Some(directives),
            [b',', behind @ ..] => rest = behind,
            _ => {
                let end = rest.iter().position(|byte| *byte == b'=')?;
                let name = std::str::from_utf8(rest[..end].trim_ascii_end()).ok()?;
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    return None;
                }
                let (value, behind) = value(rest[end + 1..].trim_ascii_start())?;
                directives.push((name.to_ascii_lowercase(), value));
                rest = behind.trim_ascii_start();
                if !rest.is_empty() && rest[0] != b',' {
                    return None;
                }
            }
        }
    }
}

/// A value, and what stands behind it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let [b'"', quoted @ ..] = text else {
        let end =
            text.iter().position(|byte| *byte == b',' || byte.is_ascii_whitespace()).unwrap_or(text.len());
        return Some((text[..end].to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &quoted[at + 1..])),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &str, expected: Option<&[(&str, &str)]>) {
        let parsed = parse(token.as_bytes());
        let parsed: Option<Vec<(&str, &str)>> = parsed.as_ref().map(|directives| {
            directives
                .iter()
                .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
                .collect()
        });
        assert_eq!(parsed.as_deref(), expected, "{token}");
    }

    #[test]
    fn a_token_is_a_list() {
        check("", Some(&[]));
        check(" , ,", Some(&[]));
        check("a=1,b=\"x,y\"", Some(&[("a", "1"), ("b", "x,y")]));
        check(" A = 1 , b=\"say \\\"no\\\"\" ,", Some(&[("a", "1"), ("b", "say \"no\"")]));
        check("a=,b=\"\"", Some(&[("a", ""), ("b", "")]));
    }

    #[test]
    fn what_is_no_list() {
        for token in ["a", "=1", "a=\"x", "a=\"x\"y", "a=1 2", "a b=1", "a=\"\\", "ä=1"] {
            check(token, None);
        }
    }
}
