//! The signature: exactly as GitHub sends it, or refused.

use super::super::{Headers, Secret, SecretTooShort, Secrets, Unverified, sign, verify};
use super::{SECRET, Sent, secrets};

const BODY: &[u8] = br#"{"zen":"Measure twice, ship once."}"#;
const NAME: &str = "X-Hub-Signature-256";

fn hex() -> String {
    sign(&secrets().current, BODY).strip_prefix("sha256=").unwrap().to_owned()
}

fn verifies(secrets: &Secrets, headers: &[(&str, &[u8])], body: &[u8]) -> bool {
    verify(secrets, &Headers::new(headers.iter().copied()), body).is_ok()
}

/// Whether [`BODY`] verifies under one header with this value.
fn is_taken(value: &[u8]) -> bool {
    verifies(&secrets(), &[(NAME, value)], BODY)
}

/// `{hex}` stands for the right digits, `{HEX}` for the same in upper case.
#[rustfmt::skip]
const VALUES: &[(&str, bool, &str)] = &[
    // header value                 verifies  why
    ("sha256={hex}",                true,     "as GitHub sends it"),
    ("",                            false,    "empty"),
    ("sha256=",                     false,    "no digits"),
    ("sha256",                      false,    "not even the equals sign"),
    ("{hex}",                       false,    "no prefix"),
    ("{hex}=sha256",                false,    "the prefix behind"),
    ("sha256:{hex}",                false,    "a colon"),
    ("sha256 {hex}",                false,    "a space for the equals sign"),
    ("sha256=={hex}",               false,    "two equals signs"),
    ("=sha256={hex}",               false,    "one before"),
    ("sha256=sha256={hex}",         false,    "the prefix twice"),
    ("SHA256={hex}",                false,    "the prefix in upper case"),
    ("Sha256={hex}",                false,    "the prefix capitalised"),
    ("sha-256={hex}",               false,    "the prefix with a dash"),
    ("sha1={hex}",                  false,    "a prefix as long as none of ours"),
    ("sha512={hex}",                false,    "another digest's prefix of the same length"),
    ("xxxxxx={hex}",                false,    "any seven bytes"),
    ("sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", false, "a SHA-1 signature"),
    ("sha256=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", false, "a SHA-1 digest behind our prefix"),
    ("sha256={HEX}",                false,    "digits in upper case"),
    (" sha256={hex}",               false,    "a space before"),
    ("sha256= {hex}",               false,    "a space between"),
    ("sha256={hex} ",               false,    "a space behind"),
    ("\tsha256={hex}",              false,    "a tab before"),
    ("sha256={hex}\n",              false,    "a line feed behind"),
    ("sha256={hex}\r\n",            false,    "a line end behind"),
    ("sha256={hex}\0",              false,    "a NUL behind"),
    ("\0sha256={hex}",              false,    "a NUL before"),
    ("sha256=\0{hex}",              false,    "a NUL between"),
    ("\u{feff}sha256={hex}",        false,    "a byte order mark before"),
    ("\"sha256={hex}\"",            false,    "in quotes"),
    ("sha256=\"{hex}\"",            false,    "the digits in quotes"),
    ("'sha256={hex}'",              false,    "in single quotes"),
    ("<sha256={hex}>",              false,    "in angle brackets"),
    ("sha256=0x{hex}",              false,    "0x before the digits"),
    ("sha256={hex};v=1",            false,    "a parameter behind"),
    ("sha256={hex},sha256={hex}",   false,    "twice in one value, as a proxy joins two headers"),
    ("sha256={hex}, sha256={hex}",  false,    "the same with a space"),
    ("sha256={hex}{hex}",           false,    "the digits twice"),
    ("sha256={hex}0",               false,    "65 digits: one behind"),
    ("sha256=0{hex}",               false,    "65 digits: one before"),
    ("sha256={hex}00",              false,    "66 digits: a byte too many"),
    ("v1=0,sha256={hex}",           false,    "another scheme's value before"),
    ("sha256%3D{hex}",              false,    "percent-encoded"),
    ("sha256\u{ff1d}{hex}",         false,    "a full-width equals sign"),
    ("ѕha256={hex}",                false,    "a Cyrillic letter that looks like an s"),
];

#[test]
fn the_header_is_exactly_what_github_sends() {
    let hex = hex();
    for (value, expected, why) in VALUES {
        let value = value.replace("{hex}", &hex).replace("{HEX}", &hex.to_uppercase());
        assert_eq!(is_taken(value.as_bytes()), *expected, "{why}");
    }
}

#[test]
fn digits_of_another_kind_or_number_are_refused() {
    let hex = hex();
    #[rustfmt::skip]
    let cases: &[(String, &str)] = &[
        (hex[..63].to_owned(),                    "63 digits: the last is missing"),
        (hex[1..].to_owned(),                     "63 digits: the first is missing"),
        (hex[..62].to_owned(),                    "62 digits: a byte is missing"),
        (hex[..2].to_owned(),                     "one byte"),
        (hex[..1].to_owned(),                     "half a byte"),
        ("0".repeat(64),                          "64 noughts"),
        ("f".repeat(64),                          "64 times f"),
        ("g".repeat(64),                          "64 letters that are no digits"),
        (" ".repeat(64),                          "64 spaces"),
        ("\0".repeat(64),                         "64 NULs"),
        ("é".repeat(32),                          "32 characters in 64 bytes"),
        ("é".repeat(64),                          "64 characters in 128 bytes"),
        ("\u{ff10}".repeat(64),                   "64 full-width noughts"),
        ("\u{0660}".repeat(32),                   "32 Arabic-Indic noughts in 64 bytes"),
        (format!("-{}", &hex[1..]),               "a sign for the first digit"),
        (format!("+{}", &hex[1..]),               "the other sign, which number parsers take"),
        (format!("{}_{}", &hex[..31], &hex[32..]), "an underscore, which number literals take"),
        (hex.chars().rev().collect(),             "the digits backwards"),
        (format!("{}{}", &hex[32..], &hex[..32]), "its halves exchanged"),
        (hex.as_bytes().chunks(2).map(|pair| format!("{}:", str::from_utf8(pair).unwrap())).collect(), "colons between the bytes"),
        ("a".repeat(1_000_000),                   "a million digits"),
        ("dXCgfqDrJQnIxG7TyU6YSjdXCgfqDrJQnIxG7TyU6Yk=".to_owned(), "base64"),
    ];
    for (digits, why) in cases {
        assert!(!is_taken(format!("sha256={digits}").as_bytes()), "{why}");
    }
}

#[test]
fn not_one_digit_may_differ() {
    let hex = hex();
    let refuses = |index: usize, by: char| {
        let digits: String = hex.chars().enumerate().map(|(at, old)| if at == index { by } else { old }).collect();
        assert!(!is_taken(format!("sha256={digits}").as_bytes()), "digit {index} as {by}");
    };
    for (index, digit) in hex.chars().enumerate() {
        let value = digit.to_digit(16).unwrap();
        (0..4).for_each(|bit| refuses(index, char::from_digit(value ^ (1 << bit), 16).unwrap()));
        refuses(index, 'g');
        refuses(index, ' ');
        if digit.is_ascii_alphabetic() {
            refuses(index, digit.to_ascii_uppercase());
        }
    }
}

#[test]
fn header_values_that_are_not_text_are_refused() {
    let good = format!("sha256={}", hex()).into_bytes();
    let with = |index: usize, byte: u8| {
        let mut value = good.clone();
        value[index] = byte;
        value
    };
    #[rustfmt::skip]
    let cases: &[(Vec<u8>, bool, &str)] = &[
        (good.clone(),                       true,  "nothing changed"),
        (with(0, 0xff),                      false, "a byte that UTF-8 never has, in the prefix"),
        (with(7, 0xff),                      false, "in the first digit"),
        (with(70, 0xff),                     false, "in the last digit"),
        (with(40, 0x80),                     false, "a lone continuation byte"),
        (with(40, 0xc3),                     false, "the first half of a character"),
        ([good.as_slice(), b"\xff"].concat(), false, "behind the digits"),
        (vec![0xff; 71],                     false, "nothing else"),
        ("sha256=".encode_utf16().flat_map(u16::to_le_bytes).collect(), false, "UTF-16"),
    ];
    for (value, expected, why) in cases {
        assert_eq!(is_taken(value), *expected, "{why}");
    }
}

#[test]
fn the_header_is_there_once_under_its_own_name() {
    let (right, wrong) = (format!("sha256={}", hex()), format!("sha256={}", "0".repeat(64)));
    let (right, wrong) = (right.as_str(), wrong.as_str());
    #[rustfmt::skip]
    let cases: &[(&Sent<'_>, bool, &str)] = &[
        (&[],                                                              false, "no header at all"),
        (&[("Content-Type", "application/json")],                          false, "only another"),
        (&[("X-Hub-Signature-256", right)],                                true,  "as GitHub writes it"),
        (&[("x-hub-signature-256", right)],                                true,  "as HTTP/2 writes it"),
        (&[("X-HUB-SIGNATURE-256", right)],                                true,  "names compare without case"),
        (&[("x-Hub-sIgnature-256", right)],                                true,  "whatever the case"),
        (&[("X-Hub-Signature", right)],                                    false, "the name of the SHA-1 header"),
        (&[("X-Hub-Signature", "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")], false, "only the SHA-1 header, as old hooks send"),
        (&[("X-Hub-Signature-256 ", right)],                               false, "a space behind the name"),
        (&[(" X-Hub-Signature-256", right)],                               false, "a space before the name"),
        (&[("X_Hub_Signature_256", right)],                                false, "underscores, as CGI writes names"),
        (&[("X-Hub-Signature-512", right)],                                false, "another number"),
        (&[("X-Hub-Signature-256\0", right)],                              false, "a NUL behind the name"),
        (&[("X-Hub-Signature-\u{ff12}56", right)],                         false, "a full-width digit in the name"),
        (&[("Authorization", right)],                                      false, "elsewhere"),
        (&[(NAME, right), ("X-Hub-Signature", "sha1=00")],                 true,  "GitHub sends both; the SHA-1 one is not looked at"),
        (&[(NAME, right), (NAME, right)],                                  false, "twice the same"),
        (&[(NAME, right), ("x-hub-signature-256", right)],                 false, "twice the same, in another case"),
        (&[(NAME, right), (NAME, wrong)],                                  false, "the right one first"),
        (&[(NAME, wrong), (NAME, right)],                                  false, "the right one last"),
        (&[(NAME, ""), (NAME, right)],                                     false, "an empty one first"),
        (&[(NAME, right), (NAME, ""), (NAME, right)],                      false, "three"),
    ];
    for (headers, expected, why) in cases {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        assert_eq!(verifies(&secrets(), &headers, BODY), *expected, "{why}");
    }
}

#[test]
fn the_body_is_exactly_what_was_signed() {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = BODY.to_vec();
        change(&mut body);
        body
    };
    let last = BODY.len() - 1;
    #[rustfmt::skip]
    let cases: &[(Vec<u8>, Vec<u8>, bool, &str)] = &[
        // signed            sent                                                  verifies  why
        (BODY.to_vec(),      BODY.to_vec(),                                        true,     "what was signed"),
        (b"{}".to_vec(),     BODY.to_vec(),                                        false,    "the signature of another body"),
        (vec![],             vec![],                                               true,     "nothing, signed"),
        (vec![],             BODY.to_vec(),                                        false,    "nothing was signed, something sent"),
        (BODY.to_vec(),      vec![],                                               false,    "something was signed, nothing sent"),
        (vec![],             vec![0],                                              false,    "nothing was signed, a NUL sent"),
        (vec![0],            vec![0],                                              true,     "a NUL, signed"),
        (vec![0],            vec![0, 0],                                           false,    "a NUL too many"),
        (vec![0xff, 0xfe],   vec![0xff, 0xfe],                                     true,     "bytes that are no text: not the signature's business"),
        (BODY.to_vec(),      changed(&|body| body.push(b'\n')),                    false,    "a line feed behind"),
        (BODY.to_vec(),      changed(&|body| body.push(0)),                        false,    "a NUL behind"),
        (BODY.to_vec(),      changed(&|body| body.insert(0, b' ')),                false,    "a space before"),
        (BODY.to_vec(),      changed(&|body| { body.splice(0..0, *b"\xef\xbb\xbf"); }), false, "a byte order mark before"),
        (BODY.to_vec(),      changed(&|body| { body.pop(); }),                     false,    "the last byte is missing"),
        (BODY.to_vec(),      changed(&|body| { body.remove(0); }),                 false,    "the first byte is missing"),
        (BODY.to_vec(),      changed(&|body| body[0] ^= 1),                        false,    "a bit of the first byte"),
        (BODY.to_vec(),      changed(&|body| body[last] ^= 0x80),                  false,    "a bit of the last byte"),
        (BODY.to_vec(),      changed(&|body| body.swap(1, 2)),                     false,    "two bytes exchanged"),
        (BODY.to_vec(),      changed(&|body| body.extend_from_slice(BODY)),        false,    "twice"),
        (BODY.to_vec(),      BODY.to_ascii_uppercase(),                            false,    "in upper case"),
        (b"{\"a\": 1}".to_vec(), b"{\"a\":1}".to_vec(),                            false,    "the same JSON, written again"),
        (b"a\r\nb".to_vec(), b"a\nb".to_vec(),                                     false,    "other line ends"),
        ("é".into(),         "e\u{301}".into(),                                    false,    "the same letter, composed otherwise"),
    ];
    for (signed, sent, expected, why) in cases {
        let header = sign(&secrets().current, signed);
        assert_eq!(verifies(&secrets(), &[(NAME, header.as_bytes())], sent), *expected, "{why}");
    }
}

#[test]
fn not_one_bit_of_the_body_may_differ() {
    let header = format!("sha256={}", hex());
    for index in 0..BODY.len() {
        for bit in 0..8 {
            let mut body = BODY.to_vec();
            body[index] ^= 1 << bit;
            assert!(!verifies(&secrets(), &[(NAME, header.as_bytes())], &body), "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn a_rotation_has_two_live_secrets_and_no_third() {
    let (one, two, three) = ("the first secret of all", "the second secret of all", "the third secret of all");
    #[rustfmt::skip]
    let cases = [
        // current  previous     signed with  verifies  why
        (one,       None,        one,         true,     "a new secret has no previous one"),
        (one,       None,        two,         false,    "another secret"),
        (two,       Some(one),   two,         true,     "rotated: the new one"),
        (two,       Some(one),   one,         true,     "rotated: GitHub still signs with the one before"),
        (two,       Some(one),   three,       false,    "not yet known"),
        (three,     Some(two),   one,         false,    "rotated again: the oldest is dead"),
        (three,     Some(two),   two,         true,     "rotated again: the one before lives"),
        (three,     None,        two,         false,    "the one before was taken back"),
        (one,       Some(one),   one,         true,     "rotated to the same"),
        (one,       Some(one),   two,         false,    "rotated to the same: nothing else lives"),
    ];
    for (current, previous, signer, expected, why) in cases {
        let secret = |text| Secret::new(text).unwrap();
        let header = sign(&secret(signer), BODY);
        let secrets = Secrets { current: secret(current), previous: previous.map(secret) };
        assert_eq!(verifies(&secrets, &[(NAME, header.as_bytes())], BODY), expected, "{why}");
    }
}

/// Digests that others have computed.
#[test]
fn published_digests_come_out() {
    let long = "0123456789abcdef".repeat(9);
    let data = [0xcd; 50];
    #[rustfmt::skip]
    let cases: &[(&str, &[u8], &str, &str)] = &[
        ("It's a Secret to Everybody", b"Hello, World!",
         "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "GitHub, Validating webhook deliveries"),
        ("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", b"Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", "RFC 4231, case 1"),
        ("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19", &data,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b", "RFC 4231, case 4"),
        (&long, b"hats",
         "81e569b12537b503dc242ca2a11b21c06608521c2a1ec41474cf5ae58688278c", "Python's hmac: a secret longer than the digest's block"),
    ];
    for (secret, body, digits, source) in cases {
        let secrets = Secrets { current: Secret::new(secret).unwrap(), previous: None };
        let header = format!("sha256={digits}");
        assert_eq!(sign(&secrets.current, body), header, "{source}");
        assert!(verifies(&secrets, &[(NAME, header.as_bytes())], body), "{source}");
    }
}

#[test]
fn a_short_secret_is_none() {
    #[rustfmt::skip]
    let cases = [
        // secret                    bytes   taken  why
        (String::new(),              0,      false, "empty: anybody could sign"),
        ("x".to_owned(),             1,      false, "one byte"),
        ("x".repeat(15),             15,     false, "one byte too few"),
        ("x".repeat(16),             16,     true,  "just enough"),
        ("x".repeat(17),             17,     true,  "more than enough"),
        ("x".repeat(64),             64,     true,  "the digest's block"),
        ("x".repeat(65),             65,     true,  "longer than the digest's block"),
        ("x".repeat(65_536),         65_536, true,  "as long as Secrets Manager keeps"),
        ("\u{20ac}".repeat(5),       15,     false, "bytes count: five characters in 15"),
        ("\u{1f3a9}".repeat(4),      16,     true,  "bytes count: four characters in 16"),
        ("é".repeat(8),              16,     true,  "bytes count: eight characters in 16"),
    ];
    for (text, bytes, is_taken, why) in cases {
        let refused = Secret::new(&text).err();
        assert_eq!(refused, (!is_taken).then_some(SecretTooShort { bytes }), "{why}");
    }
}

#[test]
fn no_secret_is_ever_printed() {
    let both = Secrets { current: Secret::new(SECRET).unwrap(), previous: Some(Secret::new(SECRET).unwrap()) };
    let bytes = format!("{:?}", SECRET.as_bytes());
    let too_short = Secret::new("fifteen letters").unwrap_err();
    let printed = [
        format!("{both:?} {both:#?} {:?} {:#?}", both.current, both.current),
        format!("{too_short} {too_short:?} {Unverified} {Unverified:?}"),
    ];
    for text in printed {
        for secret in [SECRET, "fifteen letters", bytes.as_str()] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_eq!(Unverified.to_string(), "no valid signature", "whatever was wrong");
}
