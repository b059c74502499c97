//! `regimen data show RECIPE`: rows as tokens with role, mask and weight, on the terminal and as HTML.

mod html;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use regimen_base::Error;
use regimen_data::Role;
use regimen_nn::Device;

use crate::failure::Outcome;
use crate::preflight::data::{Sequence, Shown};
use crate::preflight::{self, Depth};
use crate::recipes::Given;
use crate::{out, style};

#[derive(clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show rows as the model reads them: every token with its role, mask and weight
    Show(Show),
}

#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    given: Given,
    /// Rows a stream
    #[arg(long, value_name = "N", default_value_t = 5)]
    rows: usize,
    /// Where the same is written as one HTML file
    #[arg(long, value_name = "FILE", default_value = "data.html")]
    html: PathBuf,
}

impl Args {
    pub fn go(self) -> Outcome {
        let What::Show(show) = self.what;
        show.go()
    }
}

impl Show {
    fn go(self) -> Outcome {
        let resolved = self.given.resolve()?;
        let device = Device::by_name(resolved.root().str("device"))?;
        let shown = Shown { most: self.rows, rows: Vec::new() };
        let examined =
            preflight::examine_and_keep(&resolved, &regimen_kit::registry(), &device, Depth::Full, shown)?;
        let colour = std::io::stdout().is_terminal() && style::wanted();
        let mut out = out::open();
        for sequence in &examined.shown.rows {
            write!(out, "{}", text(sequence, colour))?;
        }
        let page = html::page(&self.given.recipe, &examined.shown.rows);
        std::fs::write(&self.html, page).map_err(|e| {
            Error::failed(format!("cannot write {}: {e}", self.html.display()))
                .remedy("name another file with `--html`")
        })?;
        writeln!(out, "{}", legend(colour))?;
        writeln!(out, "the same as HTML: {}", self.html.display())?;
        out.flush()?;
        examined.findings.tell()
    }
}

/// The word and the terminal's colour for a role.
fn role(role: Role) -> (&'static str, u8) {
    match role {
        Role::Template => ("template", 90),
        Role::Text => ("text", 36),
        Role::System => ("system", 35),
        Role::User => ("user", 34),
        Role::Assistant => ("assistant", 32),
        Role::Tool => ("tool", 33),
    }
}

/// A token on one line; borders between tokens are shown by `│`.
fn visible(token: &str) -> String {
    // what rows say may not steer the terminal
    let shown = |c: char| match c {
        '\n' => '⏎',
        '\t' => '⇥',
        c if c.is_control() => '·',
        c => c,
    };
    token.chars().map(shown).collect()
}

fn text(sequence: &Sequence, colour: bool) -> String {
    use std::fmt::Write as _;
    let (all, trained) = sequence.counts();
    let share = 100.0 * trained as f64 / all.max(1) as f64;
    let mut out = format!("{}: {all} tokens, {trained} trained on ({share:.0} %)\n", sequence.place);
    for run in &sequence.runs {
        let (name, code) = role(run.role);
        let said = run.tokens.iter().map(|t| visible(t)).collect::<Vec<_>>().join("│");
        let mark = if run.weight == 0.0 { " ".to_owned() } else { "●".to_owned() };
        let line = format!("{mark} {name:<9} {:<5} {said}", run.weight);
        let bold = if run.weight == 0.0 { "" } else { "1;" };
        let (before, after) =
            if colour { (format!("\x1b[{bold}{code}m"), "\x1b[0m") } else { (String::new(), "") };
        let _ = writeln!(out, "  {before}{line}{after}");
    }
    out.push('\n');
    out
}

fn legend(colour: bool) -> String {
    let line = "● trained on · role, weight, tokens │ between tokens · ⏎ line break";
    if colour { format!("\x1b[90m{line}\x1b[0m") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::data::Run;

    fn sequence() -> Sequence {
        let run = |role, weight, tokens: &[&str]| Run {
            role,
            weight,
            tokens: tokens.iter().map(|t| (*t).to_owned()).collect(),
        };
        let runs = vec![
            run(Role::Template, 0.0, &["<bos>", "<|user|>"]),
            run(Role::User, 0.0, &["a", "<b>\n"]),
            run(Role::Assistant, 0.5, &["c", "<eos>"]),
        ];
        Sequence { place: "a.jsonl:1".into(), runs }
    }

    #[test]
    fn every_token_shows_role_mask_and_weight() {
        let text = text(&sequence(), false);
        assert!(text.starts_with("a.jsonl:1: 6 tokens, 2 trained on (33 %)\n"), "{text}");
        assert!(text.contains("    user      0     a│<b>⏎\n"), "{text}");
        assert!(text.contains("  ● assistant 0.5   c│<eos>\n"), "{text}");
    }

    #[test]
    fn the_page_stands_alone_and_escapes_what_rows_say() {
        let page = html::page("r.toml", &[sequence()]);
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "{page}");
        assert!(!page.contains("http") && !page.contains("<script"), "nothing is loaded, nothing runs");
        assert!(page.contains("title=\"assistant, weight 0.5\""), "{page}");
    }
}
