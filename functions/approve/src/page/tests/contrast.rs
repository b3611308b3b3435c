//! The colours of both schemes are far enough apart. Source: WCAG 2.2, 1.4.3 and 1.4.11, level AA.

use super::super::STYLE;
use std::collections::BTreeMap;

/// The colours of the `:root` blocks, the light ones first.
fn schemes() -> [BTreeMap<&'static str, [f64; 3]>; 2] {
    let blocks: Vec<_> = STYLE.split(":root {").skip(1).map(|block| block.split_once('}').unwrap().0).collect();
    [colours(blocks[0]), colours(blocks[1])]
}

fn colours(block: &'static str) -> BTreeMap<&'static str, [f64; 3]> {
    let lines = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
    let channel = |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
    lines.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear =
        |channel: f64| if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_text_can_be_read_on_what_it_stands_on() {
    #[rustfmt::skip]
    let cases = [
        // colour      stands on                                                       at least
        ("ink",        &["page", "card", "good-page", "bad-page", "warn-page", "marked"][..], 4.5),
        ("soft",       &["page", "card"],                                                     4.5),
        ("link",       &["page", "card", "bad-page"],                                         4.5),
        ("good",       &["card", "good-page"],                                                4.5),
        ("bad",        &["card", "bad-page"],                                                 4.5),
        ("warn",       &["card", "warn-page"],                                                4.5),
        ("press-ink",  &["press"],                                                            4.5),
        ("press",      &["card"],                                                             3.0),
        ("field",      &["page", "card"],                                                     3.0),
    ];
    for scheme in schemes() {
        for (colour, grounds, at_least) in cases {
            for ground in grounds {
                let found = contrast(scheme[colour], scheme[ground]);
                assert!(found >= at_least, "{colour} on {ground}: {found:.2}");
            }
        }
    }
}
