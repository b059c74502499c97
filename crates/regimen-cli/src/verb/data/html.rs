//! The rows as one HTML file that needs nothing else.

use std::fmt::Write as _;

use super::{role, visible};
use crate::preflight::data::Sequence;

const STYLE: &str = "body{font:15px/1.6 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}\
h2{font-size:1em;margin:2em 0 .3em}.row{font-family:ui-monospace,monospace;white-space:pre-wrap;line-height:1.9}\
span{border-radius:3px;padding:1px 0;box-shadow:inset -1px 0 #fff}\
.template{color:#888}.text{color:#067}.system{color:#839}.user{color:#239}.assistant{color:#172}.tool{color:#850}\
.on{background:#cdeccd;font-weight:600}.part{background:#eef3c0}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}span{box-shadow:inset -1px 0 #181818}\
.on{background:#1d4a1d}.part{background:#454a1d}.text{color:#5cd}.system{color:#c8d}.user{color:#8af}\
.assistant{color:#8d8}.tool{color:#db6}}";

/// The whole page.
pub(super) fn page(recipe: &str, rows: &[Sequence]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}: rows</title><style>{STYLE}</style>\n\
         <h1>{0}</h1>\n<p>Coloured by who speaks: <span class=\"template\">template</span> \
         <span class=\"system\">system</span> <span class=\"user\">user</span> \
         <span class=\"assistant\">assistant</span> <span class=\"tool\">tool</span> <span class=\"text\">text</span>. \
         <span class=\"on\">Trained on</span>, <span class=\"part\">with another weight than 1</span>. \
         Point at a token for its role and weight.</p>\n",
        escaped(recipe)
    );
    for sequence in rows {
        let (all, trained) = sequence.counts();
        let place = escaped(&sequence.place);
        let _ = write!(html, "<h2>{place}: {all} tokens, {trained} trained on</h2>\n<div class=\"row\">");
        for run in &sequence.runs {
            let name = role(run.role).0;
            let mask = match run.weight {
                0.0 => "",
                1.0 => " on",
                _ => " part",
            };
            for token in &run.tokens {
                let said = escaped(&visible(token)).replace('⏎', "⏎\n");
                let weight = run.weight;
                let _ = write!(
                    html,
                    "<span class=\"{name}{mask}\" title=\"{name}, weight {weight}\">{said}</span>"
                );
            }
        }
        html += "</div>\n";
    }
    html + "</html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
