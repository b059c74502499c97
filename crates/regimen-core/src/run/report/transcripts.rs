//! A handful of prompts with what the model said at each time. Right and wrong are words and signs, not only colours.

use super::html::{escape, section as part};
use super::{Reply, Transcript};

pub(super) const STAGES: &str = "The same held-out prompts before and after the stages.";
pub(super) const ARMS: &str = "The same held-out prompts in every arm, of the first seed.";

pub(super) fn section(lead: &str, transcripts: &[Transcript]) -> String {
    let items: String = transcripts.iter().map(transcript).collect();
    part("transcripts", "Transcripts", lead, &items)
}

fn transcript(t: &Transcript) -> String {
    let answer = t
        .answer
        .as_deref()
        .map_or_else(String::new, |a| format!("<span>answer <code>{}</code></span>", escape(a)));
    let replies: String = t.replies.iter().map(reply).collect();
    format!(
        "<article class=\"transcript\">\n<p class=\"task\"><span>{}</span>{answer}</p>\n\
         <pre class=\"prompt\">{}</pre>\n<div class=\"replies\">\n{replies}</div>\n</article>\n",
        escape(&t.task),
        escape(t.prompt.trim_end()),
    )
}

fn reply(r: &Reply) -> String {
    let (class, verdict) = match r.right {
        Some(true) => ("right", "✓ right"),
        Some(false) => ("wrong", "✗ wrong"),
        None => ("", ""),
    };
    let text = match r.text.trim_end() {
        "" => "<pre class=\"nothing\">(nothing)</pre>".to_owned(),
        text => format!("<pre>{}</pre>", escape(text)),
    };
    let stop = r.stop.as_deref().map_or_else(String::new, |s| format!("<p class=\"stop\">{}</p>", escape(s)));
    format!(
        "<div class=\"reply {class}\"><p class=\"when\"><span>{}</span><span class=\"verdict\">{verdict}</span></p>{text}{stop}</div>\n",
        escape(&r.when)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_words() {
        let page = |right| reply(&Reply { right, text: "42".into(), ..Reply::default() });
        assert!(page(Some(true)).contains("✓ right") && page(Some(false)).contains("✗ wrong"));
        assert!(!page(None).contains("right"));
        assert!(reply(&Reply::default()).contains("(nothing)"));
    }
}
