//! The resolved recipe, folded.

use super::html::escape;

pub(super) fn section(recipe: &str) -> String {
    if recipe.trim().is_empty() {
        return String::new();
    }
    let lines: String = recipe.trim_end().lines().map(line).collect();
    format!(
        "<section id=\"recipe\">\n<h2>Recipe</h2>\n<details>\n<summary>{} lines, everything filled in</summary>\n\
         <pre class=\"toml\">{lines}</pre>\n</details>\n</section>\n",
        recipe.trim_end().lines().count()
    )
}

/// Table headers stand out, comments step back.
fn line(text: &str) -> String {
    let (code, comment) = split_comment(text);
    let code =
        if code.trim_start().starts_with('[') { format!("<b>{}</b>", escape(code)) } else { escape(code) };
    if comment.is_empty() { format!("{code}\n") } else { format!("{code}<i>{}</i>\n", escape(comment)) }
}

/// Cuts before a `#` that is not inside of quotes.
fn split_comment(text: &str) -> (&str, &str) {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '#') => return text.split_at(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), _) if open == c && !escaped => quote = None,
            _ => {}
        }
        escaped = false;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_where_strings_do_not() {
        assert_eq!(split_comment("a = 1  # default"), ("a = 1  ", "# default"));
        assert_eq!(split_comment("a = \"x # \\\" y\" # z"), ("a = \"x # \\\" y\" ", "# z"));
        assert_eq!(split_comment("a = '#'"), ("a = '#'", ""));
        assert_eq!(line("[[stage]]"), "<b>[[stage]]</b>\n");
        assert_eq!(section(" \n"), "");
    }
}
