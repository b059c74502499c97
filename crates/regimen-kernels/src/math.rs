//! Transcendental functions with the same bits everywhere: vectors for the hot loops, f64 scalars for the rest.

use crate::simd::Simd;

/// e^x, about 1 ulp; 0 below −87.3, held at e^88 above 88. Range reduction and polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp<V: Simd>(x: V) -> V {
    let y = x.max(V::splat(-87.3)).min(V::splat(88.0));
    let n = y.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let r = n.fma(V::splat(-0.693_359_375), y);
    let r = n.fma(V::splat(2.121_944_4e-4), r);
    let p = V::splat(1.987_569_15e-4);
    let p = p.fma(r, V::splat(1.398_199_95e-3));
    let p = p.fma(r, V::splat(8.333_451_9e-3));
    let p = p.fma(r, V::splat(4.166_579_6e-2));
    let p = p.fma(r, V::splat(1.666_666_5e-1));
    let p = p.fma(r, V::splat(5.000_000_1e-1));
    let p = p.fma(r.mul(r), r).add(V::splat(1.0));
    x.select_lt(V::splat(-87.3), V::zero(), p.mul(n.pow2()))
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub(crate) fn sigmoid<V: Simd>(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::zero().sub(x))))
}

/// tanh x with an absolute error of about 1e-7.
#[inline(always)]
pub(crate) fn tanh<V: Simd>(x: V) -> V {
    let one = V::splat(1.0);
    let e = exp(x.abs().mul(V::splat(-2.0)));
    let t = one.sub(e).div(one.add(e));
    x.select_lt(V::zero(), V::zero().sub(t), t)
}

/// The normal distribution's Φ(x), relative error about 2e-7 also in the lower tail. erfc by the Chebyshev fit of
/// Press et al., Numerical Recipes, §6.2.
#[inline(always)]
pub(crate) fn normal_cdf<V: Simd>(x: V) -> V {
    const FIT: [f32; 9] = [
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let one = V::splat(1.0);
    let z = x.abs().mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = one.div(z.fma(V::splat(0.5), one));
    let mut p = V::splat(0.170_872_77);
    for c in FIT {
        p = p.fma(t, V::splat(c));
    }
    let half = V::splat(0.5).mul(t).mul(exp(V::zero().sub(z.mul(z)).add(p)));
    x.select_lt(V::zero(), half, one.sub(half))
}

/// The normal density φ(x).
#[inline(always)]
pub(crate) fn normal_pdf<V: Simd>(x: V) -> V {
    exp(x.mul(x).mul(V::splat(-0.5))).mul(V::splat(0.398_942_28))
}

/// 1, 1/3, 1/5, …
const ODD: [f64; 11] = {
    let mut odd = [0.0; 11];
    let mut i = 0;
    while i < 11 {
        odd[i] = 1.0 / (2 * i + 1) as f64;
        i += 1;
    }
    odd
};

/// Natural logarithm of a positive normal f64, about 1e-16 relative near 1 and better than f32 needs elsewhere.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    let high = m > std::f64::consts::SQRT_2;
    let (m, exponent) = (if high { m * 0.5 } else { m }, exponent + i64::from(high));
    // ln m = 2 artanh s, s = (m − 1)/(m + 1), |s| < 0.172
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let sum = ODD.iter().rev().fold(0.0, |sum, c| sum * s2 + c);
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * s * sum
}

/// cos and sin of an angle of moderate size (|x| < 1e8), error about 1e-15·(1 + |x|/1e7).
pub(crate) fn cos_sin(x: f64) -> (f64, f64) {
    // reduce by π/2 in two parts
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let r = n.mul_add(-1.570_796_326_734_125_6, x);
    let r = n.mul_add(-6.077_100_506_506_192e-11, r);
    let r2 = r * r;
    let (mut sin, mut cos) = (0.0, 0.0);
    // Taylor series to r^17: |r| ≤ π/4
    for i in (1..=8).rev() {
        let i = f64::from(i);
        sin = (1.0 + sin) * -r2 / ((2.0 * i) * (2.0 * i + 1.0));
        cos = (1.0 + cos) * -r2 / ((2.0 * i - 1.0) * (2.0 * i));
    }
    let (s, c) = (r * (1.0 + sin), 1.0 + cos);
    match (n as i64).rem_euclid(4) {
        0 => (c, s),
        1 => (-s, c),
        2 => (-c, -s),
        _ => (s, -c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{LANES, at, simd};

    simd!(fn exp_row(x: &[f32]) -> [f32; LANES] => exp_row_body);
    #[inline(always)]
    fn exp_row_body<V: Simd>(x: &[f32]) -> [f32; LANES] {
        exp(at::<V>(x, 0)).lanes()
    }
    simd!(fn cdf_row(x: &[f32]) -> [f32; LANES] => cdf_row_body);
    #[inline(always)]
    fn cdf_row_body<V: Simd>(x: &[f32]) -> [f32; LANES] {
        normal_cdf(at::<V>(x, 0)).lanes()
    }
    simd!(fn tanh_row(x: &[f32]) -> [f32; LANES] => tanh_row_body);
    #[inline(always)]
    fn tanh_row_body<V: Simd>(x: &[f32]) -> [f32; LANES] {
        tanh(at::<V>(x, 0)).lanes()
    }

    #[test]
    fn exp_is_within_two_ulps() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let y = exp_row(&[x])[0];
            let want = f64::from(x).exp();
            assert!(((f64::from(y) - want) / want).abs() < 2.4e-7, "exp({x}) = {y}, not {want}");
            x += 0.013_7;
        }
        assert_eq!(exp_row(&[-90.0, 0.0])[..2], [0.0, 1.0]);
    }

    #[test]
    fn normal_cdf_and_tanh_match_known_values() {
        for (x, want) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746),
            (-1.0, 0.158_655_254),
            (-3.0, 1.349_898e-3),
            (2.5, 0.993_790_335),
        ] {
            let y = f64::from(cdf_row(&[x])[0]);
            assert!(((y - want) / want).abs() < 6e-7, "Φ({x}) = {y}, not {want}");
        }
        let mut x = -9.0f32;
        while x < 9.0 {
            assert!((f64::from(tanh_row(&[x])[0]) - f64::from(x).tanh()).abs() < 2e-7);
            x += 0.01;
        }
    }

    #[test]
    fn scalar_functions_match_std() {
        for i in 1..2000 {
            let x = f64::from(i) * 0.37;
            assert!((ln(x) - x.ln()).abs() < 1e-14 * (1.0 + x.ln().abs()), "ln {x}");
            let (c, s) = cos_sin(x * 100.0);
            let (want_s, want_c) = (x * 100.0).sin_cos();
            assert!((c - want_c).abs() < 1e-11 && (s - want_s).abs() < 1e-11, "cos, sin {x}");
        }
    }
}
