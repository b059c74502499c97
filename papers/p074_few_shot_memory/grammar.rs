//! A grammar of 400 words, each a character, so that a character tokenizer gives every word a token.

use regimen_base::{Key, Rng};

/// Words of a sentence.
pub const LENGTH: usize = 16;
/// The first word's character; the others follow it without a gap.
const FIRST: u32 = 0x4e00;
/// Subjects that a sentence may have.
const TOPICS: usize = 10;
/// The chance of a content word to be about the sentence's subject.
const ON_TOPIC: f64 = 0.7;

/// Classes of words: determiners, adjectives, nouns, verbs, adverbs, prepositions, conjunctions, pronouns, times; and how
/// many words each has.
const CLASSES: [(char, usize); 9] =
    [('D', 8), ('A', 80), ('N', 140), ('V', 80), ('R', 40), ('P', 20), ('C', 8), ('W', 8), ('T', 16)];

/// What sentences are built like, a class a word.
const TEMPLATES: [&str; 6] = [
    "DANVRDANPDANCWVR",
    "TDNVDANPDNCDNVDN",
    "DNPDNVRCDANVPDAN",
    "WVDANCWVDANPDANR",
    "TWVRPDANCDNVDAAN",
    "DAANVDNPDANTWVRR",
];

/// How a sentence is built and what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    template: usize,
    topic: usize,
}

impl Plan {
    /// One at random.
    pub fn draw(key: Key) -> Self {
        let mut rng = key.rng();
        Self { template: rng.index(TEMPLATES.len()), topic: rng.index(TOPICS) }
    }

    /// A sentence of this plan.
    pub fn sentence(self, key: Key) -> String {
        let mut rng = key.rng();
        TEMPLATES[self.template].chars().map(|class| self.word(class, &mut rng)).collect()
    }

    fn word(self, class: char, rng: &mut Rng) -> char {
        let (first, words) = place(class);
        let content = words >= 2 * TOPICS;
        let on_topic = content && rng.chance(ON_TOPIC);
        // of a class with topics every tenth word is about the same one
        let word = if on_topic { self.topic + TOPICS * rng.index(words / TOPICS) } else { rng.index(words) };
        letter(first + word)
    }
}

/// The same words in random order.
pub fn salad(sentence: &str, key: Key) -> String {
    let mut words: Vec<char> = sentence.chars().collect();
    key.rng().shuffle(&mut words);
    words.into_iter().collect()
}

/// Every word.
pub fn words() -> String {
    (0..CLASSES.iter().map(|(_, words)| words).sum()).map(letter).collect()
}

/// The first word of a class, and how many it has.
fn place(class: char) -> (usize, usize) {
    let mut first = 0;
    for (name, words) in CLASSES {
        if name == class {
            return (first, words);
        }
        first += words;
    }
    (0, 1)
}

fn letter(word: usize) -> char {
    char::from_u32(FIRST + word as u32).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_sixteen_words_of_known_classes() {
        for template in TEMPLATES {
            assert_eq!(template.chars().count(), LENGTH, "{template}");
            assert!(
                template.chars().all(|class| CLASSES.iter().any(|(name, _)| *name == class)),
                "{template}"
            );
        }
        assert_eq!(words().chars().count(), 400);
    }

    #[test]
    fn words_stand_where_their_class_may() {
        for n in 0..200 {
            let plan = Plan::draw(Key::new(n));
            let sentence = plan.sentence(Key::new(n).child("words"));
            for (word, class) in sentence.chars().zip(TEMPLATES[plan.template].chars()) {
                let (first, words) = place(class);
                let number = (word as u32 - FIRST) as usize;
                assert!((first..first + words).contains(&number), "{word} as {class}");
            }
        }
    }

    /// 0.7 of content words, and a tenth of the others by chance.
    #[test]
    fn content_words_are_mostly_about_the_topic() {
        let (mut on, mut all) = (0.0, 0.0);
        for n in 0..400 {
            let plan = Plan::draw(Key::new(n));
            let sentence = plan.sentence(Key::new(n).child("words"));
            for (word, class) in sentence.chars().zip(TEMPLATES[plan.template].chars()) {
                if class == 'N' {
                    all += 1.0;
                    on += f64::from(u8::from(
                        (word as usize - FIRST as usize - place('N').0) % TOPICS == plan.topic,
                    ));
                }
            }
        }
        assert!((on / all - 0.73).abs() < 0.03, "{}", on / all);
    }

    #[test]
    fn a_salad_has_the_same_words() {
        let sentence = Plan::draw(Key::new(1)).sentence(Key::new(2));
        let mixed = salad(&sentence, Key::new(3));
        let sorted = |text: &str| {
            let mut words: Vec<char> = text.chars().collect();
            words.sort_unstable();
            words
        };
        assert_eq!(sorted(&mixed), sorted(&sentence));
        assert_ne!(mixed, sentence);
    }
}
