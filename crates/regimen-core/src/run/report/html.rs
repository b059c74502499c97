//! Text into markup.

/// `text` for the inside of an element or of a double-quoted attribute. Control characters, which HTML does not allow,
/// become their visible pictures (U+2400).
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            // the last two ranges turn the direction of what follows on the page
            '\x7f'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// What `each` makes of every item, one after the other.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, each: impl Fn(T) -> String) -> String {
    items.into_iter().map(each).collect()
}

/// A part of the page with a heading; nothing when it has no content.
pub(super) fn section(id: &str, heading: &str, lead: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>\n") };
    format!("<section id=\"{id}\">\n<h2>{heading}</h2>\n{lead}{content}</section>\n")
}

/// The first `most` characters of `text`, with an ellipsis where more follow.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_markup_would_read() {
        assert_eq!(escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
        assert_eq!(escape("a\0b\nc\u{202e}d"), "a\u{2400}b\nc\u{fffd}d");
        assert_eq!(escape("Grüße 好 😀"), "Grüße 好 😀");
    }

    #[test]
    fn shortens_by_characters() {
        assert_eq!(shortened("cross-entropy", 20), "cross-entropy");
        assert_eq!(shortened("Grüße an alle", 7), "Grüße…");
    }
}
