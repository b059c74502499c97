//! Typed reading of the fields of a table.
//!
//! A recipe that was resolved holds what the spec declares, so reading a declared field cannot fail. Reading a field
//! that the spec does not declare, or as another type, is a fault of the program and panics with the field's path.

use regimen_base::Length;

use crate::node::Node;

/// For each type: the reader of a field that is always there, and of one that may be absent.
macro_rules! readers {
    ($($one:ident $opt:ident $ty:ty, $as:ident, $what:literal;)*) => {
        impl Node {
            $(
                #[doc = concat!("The field as ", $what, ".")]
                pub fn $one(&self, name: &str) -> $ty {
                    let node = self.get(name);
                    node.$as().unwrap_or_else(|| node.mismatch($what))
                }

                #[doc = concat!("The field as ", $what, ", if it is there.")]
                pub fn $opt(&self, name: &str) -> Option<$ty> {
                    let node = self.get(name);
                    node.present().then(|| node.$as().unwrap_or_else(|| node.mismatch($what)))
                }
            )*
        }
    };
}

readers! {
    bool opt_bool bool, as_bool, "true or false";
    i64 opt_i64 i64, as_i64, "a whole number";
    u64 opt_u64 u64, as_u64, "a count";
    f64 opt_f64 f64, as_f64, "a number";
    str opt_str &str, as_str, "a text";
    length opt_length Length, as_length, "a length";
    range opt_range (i64, i64), as_range, "a range";
}

impl Node {
    /// The field as a count that fits the machine.
    pub fn usize(&self, name: &str) -> usize {
        self.u64(name) as usize
    }

    /// The field as a count that fits the machine, if it is there.
    pub fn opt_usize(&self, name: &str) -> Option<usize> {
        self.opt_u64(name).map(|n| n as usize)
    }

    /// The field as a number in single precision.
    pub fn f32(&self, name: &str) -> f32 {
        self.f64(name) as f32
    }

    /// The field as a number in single precision, if it is there.
    pub fn opt_f32(&self, name: &str) -> Option<f32> {
        self.opt_f64(name).map(|x| x as f32)
    }
}
