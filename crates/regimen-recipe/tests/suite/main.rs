//! The recipe language from outside, with a small catalogue in place of the real one.

mod any_text;
mod bad_recipes;
mod fake;
mod recipes;
mod telling;
