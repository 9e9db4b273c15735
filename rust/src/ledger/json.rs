//! The little JSON that entries need, in the form of RFC 8785.

/// Appends a string as RFC 8785 (section 3.2.2.2) writes it.
pub fn put_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An object of these members, which must come in ascending order of their names.
pub fn object(members: &[(&str, Member<'_>)]) -> String {
    let mut out = String::from("{");
    for (at, (name, member)) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        put_string(name, &mut out);
        out.push(':');
        match member {
            Member::Text(text) => put_string(text, &mut out),
            Member::Number(number) => out.push_str(&number.to_string()),
        }
    }
    out.push('}');
    out
}

/// A member's value; numbers are below 2^53.
pub enum Member<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_rfc_8785_says() {
        let mut out = String::new();
        put_string("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}", &mut out);
        assert_eq!(out, "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
    }
}
