//! Which C library a program asks for. Lambda's `provided.al2023` has an older one than many machines that build, and a
//! program that asks for a newer one does not start there.

/// The C library of Amazon Linux 2023, which `provided.al2023` is: major, minor.
/// Source: "Comparing AL2 and AL2023, glibc" in the AL2023 user guide.
pub(crate) const OF_LAMBDA: (u32, u32) = (2, 34);

/// How the dynamic linker's version names begin.
const PREFIX: &[u8] = b"GLIBC_";

/// The newest version that `program`, an ELF file, asks for; `None` for one that asks for none.
pub(crate) fn asked_for(program: &[u8]) -> Option<(u32, u32)> {
    let after = |at: usize| program.get(at + PREFIX.len()..);
    let starts = program.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    starts.filter_map(|(at, _)| version(after(at)?)).max()
}

/// Reads `2.34` up to the byte that ends the name. A third part, as in `2.2.5`, belongs to the oldest versions only.
fn version(text: &[u8]) -> Option<(u32, u32)> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let mut parts = std::str::from_utf8(text.get(..end)?).ok()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::asked_for;

    #[test]
    fn the_newest_version_counts_by_number() {
        #[rustfmt::skip]
        let cases: [(&[u8], _, _); 5] = [
            // program                                    expected       why
            (b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0",   Some((2, 34)), "34 is newer than 9"),
            (b"\0GLIBC_PRIVATE\0GLIBC_2.4\0",             Some((2, 4)),  "a name without a number"),
            (b"\0statically linked\0",                    None,          "none at all"),
            (b"GLIBC_2.34",                               None,          "a name ends with a NUL"),
            (b"GLIBC_",                                   None,          "cut off"),
        ];
        for (program, expected, why) in cases {
            assert_eq!(asked_for(program), expected, "{why}");
        }
    }
}
