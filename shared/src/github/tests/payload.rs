//! The reader against hostile input: headers, content types, forms, text that is no payload, and the paths of a push.

use super::super::{Payload, PayloadError};
use super::{GUID, PRIVATE, PUSH, Sent, push, push_with, read_json, read_with, word};
use crate::domain::change::{Paths, PathsUnknown};

/// [`PUSH`] under these three headers; an empty name of a header stands for none.
fn read_headers(event: &[u8], guid: &[u8], content_type: &[u8]) -> Result<Payload, PayloadError> {
    let headers = [("X-GitHub-Event", event), ("X-GitHub-Delivery", guid), ("Content-Type", content_type)];
    read_with(&headers, PUSH.as_bytes())
}

const JSON: &[u8] = b"application/json";

#[rustfmt::skip]
const EVENTS: &[(&[u8], &str, &str)] = &[
    // X-GitHub-Event              outcome              why
    (b"push",                      "push",              "as GitHub sends it"),
    (b"star",                      "star",              "an event that we do not know is read, and ignored later"),
    (b"projects_v2_item",          "projects_v2_item",  "digits and underscores occur"),
    (b"a",                         "a",                 "short"),
    (&[b'a'; 64],                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "as long as may be"),
    (&[b'a'; 65],                  "X-GitHub-Event",    "one letter longer"),
    (b"",                          "X-GitHub-Event",    "empty"),
    (b"Push",                      "X-GitHub-Event",    "names of events are lowercase"),
    (b"PUSH",                      "X-GitHub-Event",    "all of it"),
    (b" push",                     "X-GitHub-Event",    "a space before"),
    (b"push ",                     "X-GitHub-Event",    "a space behind"),
    (b"push\n",                    "X-GitHub-Event",    "a line feed would forge a line of the log"),
    (b"push\0",                    "X-GitHub-Event",    "a NUL"),
    (b"push,push",                 "X-GitHub-Event",    "twice, as a proxy joins two headers"),
    (b"push-tag",                  "X-GitHub-Event",    "a dash"),
    (b"../push",                   "X-GitHub-Event",    "a path"),
    (b"<script>",                  "X-GitHub-Event",    "a tag"),
    ("pu\u{455}h".as_bytes(),      "X-GitHub-Event",    "a letter that looks like another"),
    (b"pu\xffsh",                  "X-GitHub-Event",    "not UTF-8"),
];

#[rustfmt::skip]
const GUIDS: &[(&[u8], &str, &str)] = &[
    // X-GitHub-Delivery                            outcome              why
    (GUID.as_bytes(),                               "push",              "as GitHub sends it"),
    (b"5F0C9E7A-1630-11F1-8D2B-2F6E1C7A9B40",       "push",              "in upper case"),
    (b"1",                                          "push",              "the form is not ours to judge"),
    (&[b'a'; 64],                                   "push",              "as long as may be"),
    (&[b'a'; 65],                                   "X-GitHub-Delivery", "one character longer"),
    (b"",                                           "X-GitHub-Delivery", "empty"),
    (b" ",                                          "X-GitHub-Delivery", "a space"),
    (b"a b",                                        "X-GitHub-Delivery", "a space within"),
    (b"a/b",                                        "X-GitHub-Delivery", "a slash"),
    (b"../../etc",                                  "X-GitHub-Delivery", "a path"),
    (b"a#b",                                        "X-GitHub-Delivery", "a separator of the ledger's keys"),
    (b"a_b",                                        "X-GitHub-Delivery", "an underscore"),
    (b"{5f0c9e7a}",                                 "X-GitHub-Delivery", "braces, as Windows writes GUIDs"),
    (b"a\nb",                                       "X-GitHub-Delivery", "a line feed would forge a line of the log"),
    (b"a\0",                                        "X-GitHub-Delivery", "a NUL"),
    (b"a\x1b[2J",                                   "X-GitHub-Delivery", "a terminal's escape sequence"),
    ("5f0c9e7\u{430}".as_bytes(),                   "X-GitHub-Delivery", "a letter that looks like another"),
    ("\u{202e}a".as_bytes(),                        "X-GitHub-Delivery", "right to left"),
    (b"\xff",                                       "X-GitHub-Delivery", "not UTF-8"),
];

#[rustfmt::skip]
const CONTENT_TYPES: &[(&[u8], &str, &str)] = &[
    // Content-Type                              outcome         why
    (b"application/json",                        "push",         "as GitHub sends it"),
    (b"application/json; charset=utf-8",         "push",         "with a charset"),
    (b"application/json;charset=UTF-8",          "push",         "without the space"),
    (b"application/json ; charset=\"utf-8\"",    "push",         "a space before the semicolon, quotes"),
    (b"application/json;",                       "push",         "a semicolon and nothing behind"),
    (b"application/json; charset=utf-16",        "push",         "JSON is UTF-8, whatever is said"),
    (b"APPLICATION/JSON",                        "push",         "types compare without case"),
    (b"Application/Json; Charset=UTF-8",         "push",         "in any mix"),
    (b" application/json ",                      "push",         "spaces around, which HTTP does not count"),
    (b"",                                        "content type", "empty"),
    (b";",                                       "content type", "parameters only"),
    (b"; application/json",                      "content type", "ours as a parameter"),
    (b"json",                                    "content type", "half of it"),
    (b"application/",                            "content type", "the other half"),
    (b"application/json5",                       "content type", "another type that begins alike"),
    (b"application/jsonp",                       "content type", "and another"),
    (b"application/vnd.github+json",             "content type", "what GitHub's API takes, but no hook sends"),
    (b"application/json, application/json",      "content type", "twice, as a proxy joins two headers"),
    (b"application/json application/json",       "content type", "twice with a space"),
    (b"text/json",                               "content type", "another tree"),
    (b"text/plain",                              "content type", "text"),
    (b"text/plain; x=application/json",          "content type", "text with ours as a parameter"),
    (b"text/html",                               "content type", "a page"),
    (b"*/*",                                     "content type", "anything"),
    (b"multipart/form-data; boundary=x",         "content type", "the other kind of form"),
    (b"application/xml",                         "content type", "not ours"),
    (b"application/octet-stream",                "content type", "what nobody said anything about"),
    (b"application\\json",                       "content type", "a backslash"),
    ("application/j\u{455}on".as_bytes(),        "content type", "a letter that looks like another"),
    (b"application/json\xff",                    "content type", "not UTF-8"),
    (b"application/json\0",                      "content type", "a NUL"),
    (b"application/x-www-form-urlencoded",       "form",         "a form, and the body is none"),
    (b"application/x-www-form-urlencoded; charset=utf-8", "form", "a form with a charset"),
    (b"APPLICATION/X-WWW-FORM-URLENCODED",       "form",         "a form in upper case"),
];

#[test]
fn headers_are_what_github_sends() {
    for (event, outcome, why) in EVENTS {
        assert_eq!(word(&read_headers(event, GUID.as_bytes(), JSON)), *outcome, "{why}");
    }
    for (guid, outcome, why) in GUIDS {
        assert_eq!(word(&read_headers(b"push", guid, JSON)), *outcome, "{why}");
    }
    for (content_type, outcome, why) in CONTENT_TYPES {
        assert_eq!(word(&read_headers(b"push", GUID.as_bytes(), content_type)), *outcome, "{why}");
    }
}

#[test]
fn headers_are_there_once() {
    let (event, guid, json) =
        (("X-GitHub-Event", "push"), ("X-GitHub-Delivery", GUID), ("Content-Type", "application/json"));
    let text = ("Content-Type", "text/plain");
    #[rustfmt::skip]
    let cases: &[(&Sent<'_>, &str, &str)] = &[
        (&[],                                       "content type",      "none"),
        (&[event, guid],                            "content type",      "no content type"),
        (&[guid, json],                             "X-GitHub-Event",    "no event"),
        (&[event, json],                            "X-GitHub-Delivery", "no delivery"),
        (&[json],                                   "X-GitHub-Event",    "neither: the first is named"),
        (&[text],                                   "content type",      "the content type is judged before the others"),
        (&[event, guid, json, json],                "content type",      "two content types, though the same"),
        (&[event, guid, json, text],                "content type",      "two content types"),
        (&[event, event, guid, json],               "X-GitHub-Event",    "two events, though the same"),
        (&[event, ("x-github-event", "ping"), guid, json], "X-GitHub-Event", "two events in two cases"),
        (&[event, guid, guid, json],                "X-GitHub-Delivery", "two deliveries, though the same"),
        (&[event, guid, ("X-GITHUB-DELIVERY", "1"), json], "X-GitHub-Delivery", "two deliveries in two cases"),
        (&[("x-github-event", "push"), ("x-github-delivery", GUID), ("content-type", "application/json")], "push", "names in lower case"),
        (&[("X-GITHUB-EVENT", "push"), ("X-GITHUB-DELIVERY", GUID), ("CONTENT-TYPE", "application/json")], "push", "names in upper case"),
        (&[event, guid, json, ("X-GitHub-Hook-ID", "1"), ("X-GitHub-Hook-ID", "2")], "push", "what is not read may be there twice"),
    ];
    for (headers, outcome, why) in cases {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        assert_eq!(word(&read_with(&headers, PUSH.as_bytes())), *outcome, "{why}");
    }
}

/// `{push}` stands for [`PUSH`] as a form writes it, `{hex}` for every byte of it as `%XX`.
#[rustfmt::skip]
const FORMS: &[(&[u8], &str, &str)] = &[
    // body                               outcome      why
    (b"payload={push}",                   "push",      "as GitHub sends it"),
    (b"payload={hex}",                    "push",      "every byte encoded"),
    (b"payload={push}&",                  "push",      "an ampersand behind"),
    (b"&&payload={push}",                 "push",      "ampersands before"),
    (b"a=1&payload={push}&b=2",           "push",      "other fields are not looked at"),
    (b"%70ayload={push}",                 "push",      "the name may be encoded as well"),
    (b"payload={push}++%0D%0A",           "push",      "white space behind the JSON"),
    (b"payload={push}&payload={push}",    "form",      "two payloads"),
    (b"payload={push}&payload=",          "form",      "the second one empty"),
    (b"payload&payload={push}",           "form",      "the first one without a value"),
    (b"payload={push}&pa%79load={push}",  "form",      "the second one's name encoded"),
    (b"",                                 "form",      "no field at all"),
    (b"&",                                "form",      "no field but an ampersand"),
    (b"a=1&b=2",                          "form",      "only other fields"),
    (b"Payload={push}",                   "form",      "names of fields compare with case"),
    (b"payload[]={push}",                 "form",      "another name"),
    (b"+payload={push}",                  "form",      "a space before the name"),
    (b"payload\0={push}",                 "form",      "a NUL behind the name"),
    (b"{push}",                           "form",      "a name without a value"),
    (b"payload",                          "early end", "no value"),
    (b"payload=",                         "early end", "an empty value"),
    (b"payload=+%20%0A",                  "early end", "white space"),
    (b"payload={push};payload={push}",    "syntax",    "a semicolon separates nothing"),
    (b"payload={push}%00",                "syntax",    "a NUL behind the JSON"),
    (b"payload={push}{push}",             "syntax",    "two documents"),
    (b"payload=%7B%22ref%22%3A",          "early end", "cut off"),
    (b"payload=%zz",                      "syntax",    "no percent encoding: it stands for itself"),
    (b"payload=%7",                       "syntax",    "half a percent encoding"),
    (b"payload=%",                        "syntax",    "a percent sign alone"),
    (b"payload=%257B%257D",               "syntax",    "encoded twice is decoded once"),
    (b"payload=%FF%FE",                   "syntax",    "not UTF-8"),
    (b"payload=\xff",                     "syntax",    "not UTF-8, and not encoded"),
    (b"payload=%EF%BB%BF{push}",          "syntax",    "a byte order mark"),
    (b"payload=%5B%5D",                   "not a JSON object", "a list"),
    (b"payload=null",                     "field",     "nothing"),
];

fn read_form(body: &[u8]) -> Result<Payload, PayloadError> {
    let headers: [(&str, &[u8]); 3] = [
        ("X-GitHub-Event", b"push"),
        ("X-GitHub-Delivery", GUID.as_bytes()),
        ("Content-Type", b"application/x-www-form-urlencoded"),
    ];
    read_with(&headers, body)
}

/// Replaces `name` by `value` in bytes that need not be text.
fn filled(template: &[u8], name: &str, value: &str) -> Vec<u8> {
    let mut filled = template.to_vec();
    while let Some(at) = filled.windows(name.len()).rposition(|window| window == name.as_bytes()) {
        filled.splice(at..at + name.len(), value.bytes());
    }
    filled
}

#[test]
fn a_form_has_one_payload() {
    let encoded: String = form_urlencoded::byte_serialize(PUSH.as_bytes()).collect();
    let hex: String = PUSH.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (template, outcome, why) in FORMS {
        let body = filled(&filled(template, "{push}", &encoded), "{hex}", &hex);
        assert_eq!(word(&read_form(&body)), *outcome, "{why}");
    }
    assert_eq!(push(read_form(format!("payload={encoded}").as_bytes())), push(read_json("push", PUSH)), "both are one");
}

#[test]
fn plus_and_percent_in_a_form_stand_for_what_they_stand_for() {
    #[rustfmt::skip]
    let cases = [
        // the branch, encoded    the branch     why
        ("a+b",                   "a b",         "a plus is a space"),
        ("a%2Bb",                 "a+b",         "an encoded plus is a plus"),
        ("a%20b",                 "a b",         "an encoded space"),
        ("a%26payload%3D",        "a&payload=",  "an encoded ampersand separates nothing"),
        ("a%252Fb",               "a%2Fb",       "encoded twice is decoded once"),
        ("a%zzb",                 "a%zzb",       "no encoding: it stands for itself"),
        ("a%c3%a9",               "aé",          "two bytes of one character"),
        ("a%F0%9F%8E%A9",         "a🎩",         "four bytes of one character"),
        ("a%5Cud83c%5Cudfa9",     "a🎩",         "JSON's own escapes, in the form's"),
    ];
    for (encoded, branch, why) in cases {
        let json: String = form_urlencoded::byte_serialize(PUSH.as_bytes()).collect();
        let body = format!("payload={}", json.replace("refs%2Fheads%2Fmain", &format!("refs/heads/{encoded}")));
        assert_eq!(push(read_form(body.as_bytes())).git_ref.to_string(), format!("refs/heads/{branch}"), "{why}");
    }
}

#[rustfmt::skip]
const BODIES: &[(&[u8], &str, &str)] = &[
    // body                                     outcome              why
    (b"",                                       "early end",         "nothing"),
    (b" ",                                      "early end",         "a space"),
    (b" \t\r\n",                                "early end",         "white space"),
    (b"\0",                                     "syntax",            "a NUL"),
    (b"{",                                      "early end",         "a brace"),
    (b"}",                                      "syntax",            "the other brace"),
    (b"{}",                                     "ping",              "an object without a field: ping asks for none"),
    (b" \n{} \n",                               "ping",              "white space around"),
    (b"{}{}",                                   "syntax",            "two documents"),
    (b"{}\n{}",                                 "syntax",            "two documents, a line each"),
    (b"{},",                                    "syntax",            "a comma behind"),
    (b"{}\0",                                   "syntax",            "a NUL behind"),
    (b"{\"a\":1,}",                             "syntax",            "a trailing comma"),
    (b"{\"a\":[1,]}",                           "syntax",            "a trailing comma in a list"),
    (b"{,}",                                    "syntax",            "a comma alone"),
    (b"{\"a\" 1}",                              "syntax",            "no colon"),
    (b"{\"a\":}",                               "syntax",            "no value"),
    (b"{a:1}",                                  "syntax",            "a name without quotes"),
    (b"{'a':1}",                                "syntax",            "single quotes"),
    (b"{1:1}",                                  "syntax",            "a number for a name"),
    (b"{\"a\":NaN}",                            "syntax",            "not a number"),
    (b"{\"a\":Infinity}",                       "syntax",            "infinity"),
    (b"{\"a\":-Infinity}",                      "syntax",            "minus infinity"),
    (b"{\"a\":undefined}",                      "syntax",            "a word of JavaScript"),
    (b"{\"a\":True}",                           "syntax",            "a word of Python"),
    (b"{\"a\":01}",                             "syntax",            "a nought before a number"),
    (b"{\"a\":0x1}",                            "syntax",            "a hexadecimal number"),
    (b"{\"a\":+1}",                             "syntax",            "a plus before a number"),
    (b"{\"a\":.5}",                             "syntax",            "no digit before the point"),
    (b"{\"a\":1e999}",                          "ping",              "a number beyond all bounds, where nobody reads it"),
    (b"{\"a\":\"\\ud800\"}",                    "ping",              "half a surrogate pair, where nobody reads it"),
    (b"{\"a\":1,\"a\":2}",                      "ping",              "a field twice that nobody reads"),
    (b"{\"a\":\"\n\"}",                         "syntax",            "a line feed in a string"),
    (b"{\"a\":\"\\x41\"}",                      "syntax",            "an escape that JSON does not have"),
    (b"{\"a\":\"\\u12g4\"}",                    "syntax",            "an escape with a letter too far"),
    (b"{\"a\":\"",                              "early end",         "a string without an end"),
    (b"{\"a\":1}//",                            "syntax",            "a comment behind"),
    (b"/**/{}",                                 "syntax",            "a comment before"),
    (b"\xef\xbb\xbf{}",                         "syntax",            "a byte order mark"),
    (b"\xff\xfe{\0}\0",                         "not UTF-8",         "UTF-16 with a byte order mark"),
    (b"{\0}\0",                                 "syntax",            "UTF-16 without one"),
    (b"\x1f\x8b\x08\0",                         "not UTF-8",         "compressed"),
    (b"{\"a\":\"\xff\"}",                       "not UTF-8",         "a byte that UTF-8 never has, where nobody reads it"),
    (b"{\"a\":\"\xc0\xaf\"}",                   "not UTF-8",         "an overlong slash"),
    (b"{\"a\":\"\xed\xa0\x80\"}",               "not UTF-8",         "half a surrogate pair as bytes"),
    (b"{\"a\":\"\xf4\x90\x80\x80\"}",           "not UTF-8",         "beyond Unicode"),
    (b"{\"\xff\":1}",                           "not UTF-8",         "in a name"),
    (b"{}\xff",                                 "not UTF-8",         "behind the document"),
    (b"null",                                   "field",             "JSON, but no object"),
    (b"true",                                   "field",             "a bool"),
    (b"1",                                      "field",             "a number"),
    (b"\"{}\"",                                 "field",             "an object in a string"),
    (b"[]",                                     "not a JSON object", "a list"),
    (b"[null,null]",                            "not a JSON object", "a list that has what ping's fields may have"),
    (b" \r\n\t[{}]",                            "not a JSON object", "a list behind white space"),
    (b"payload=%7B%7D",                         "syntax",            "a form that says it is JSON"),
    (b"<xml/>",                                 "syntax",            "not JSON"),
    (b"PRIVATE",                                "syntax",            "the sentence never quotes the body"),
    (b"{\"repository\":\"PRIVATE\"}",           "field",             "nor a value"),
    (b"{\"sender\":{\"PRIVATE\":1}}",           "field",             "nor a name"),
];

#[test]
fn a_body_is_one_json_object_in_utf8() {
    for (body, outcome, why) in BODIES {
        assert_eq!(word(&read_json("ping", body)), *outcome, "{why}");
    }
    let listed = format!("[{}]", PUSH.replace('{', "[").replace('}', "]"));
    assert_eq!(word(&read_json("push", listed)), "not a JSON object", "a payload as lists");
}

#[test]
fn deep_nesting_is_passed_over_or_refused_and_never_recursed_into() {
    #[rustfmt::skip]
    let places = [
        // a piece of PUSH                where the bomb goes                  outcome    where it is
        (r#""created":false"#,            r#""created":false,"extra":BOMB"#,   "push",    "in a field that nobody reads"),
        (r#""full_name":"acme/shop""#,    r#""full_name":"acme/shop","x":BOMB"#, "push",  "in one within the repository"),
        (r#""added":["new"]"#,            r#""added":["new"],"x":BOMB"#,       "push",    "in one within a commit"),
        (r#""added":["new"]"#,            r#""added":["new"],"id":"2222222222222222222222222222222222222222","message":BOMB"#, "push", "for a listed message"),
        (r#""ref":"refs/heads/main""#,    r#""ref":BOMB"#,                     "field",   "for the ref"),
        (r#""message":"Sell hats""#,      r#""message":BOMB"#,                 "field",   "for the message"),
        (r#""removed":["old"]"#,          r#""removed":[BOMB]"#,               "field",   "among the files"),
        (r#""id":7"#,                     r#""id":BOMB"#,                      "field",   "for the id"),
        (r#""pusher":{"name":"ada"}"#,    r#""pusher":{"name":BOMB}"#,         "field",   "for the pusher"),
        (r#""pushed_at":1772447467"#,     r#""pushed_at":BOMB"#,               "field",   "for the time, which may be of two kinds"),
    ];
    for depth in [127, 128, 129, 100_000] {
        for (open, inner, close) in [("[", "", "]"), (r#"{"a":"#, "1", "}"), (r#"[{"a":"#, "1", "}]")] {
            let bomb = [open.repeat(depth).as_str(), inner, close.repeat(depth).as_str()].concat();
            for (piece, by, outcome, place) in places {
                let body = push_with(piece, &by.replace("BOMB", &bomb));
                assert_eq!(word(&read_json("push", body)), outcome, "{depth} times {open} {place}");
            }
            let cut_off = format!(r#"{{"extra":{}"#, open.repeat(depth));
            assert_eq!(word(&read_json("ping", cut_off)), "early end", "{depth} times {open}, without an end");
        }
    }
}

#[rustfmt::skip]
const PATHS: &[(&str, &str, &str, &str)] = &[
    // a piece of PUSH       by                              paths                      why
    ("PUSH",                 "PUSH",                         "kept new old",            "added, removed and modified alike"),
    (r#""created":false"#,   r#""created":true"#,            "created",                 "a new ref: the list starts we do not know where"),
    (r#""forced":false"#,    r#""forced":true"#,             "forced",                  "a forced push drops what it does not list"),
    (r#""deleted":false"#,   r#""deleted":true"#,            "kept new old",            "a deletion is not the list's business"),
    (r#","forced":false"#,   r#""#,                          "kept new old",            "not said to be forced"),
    (r#""commits":[{"added":["new"],"removed":["old"],"modified":["kept"]}]"#, r#""commits":[]"#, "no commits listed", "an empty list"),
    (r#""commits":[{"added":["new"],"removed":["old"],"modified":["kept"]}]"#, r#""commits":null"#, "no commits listed", "no list"),
    (r#","commits":[{"added":["new"],"removed":["old"],"modified":["kept"]}]"#, "",          "no commits listed", "not even the field"),
    (r#"{"added":["new"],"removed":["old"],"modified":["kept"]}"#, "{}",                     "",                  "a commit without a file"),
    (r#""removed":["old"]"#, r#""removed":["new"]"#,         "kept new",                "a file twice is one"),
    (r#""added":["new"]"#,   r#""added":["\u006eew","new"]"#, "kept new old",           "a file written in two ways is one"),
    (r#""added":["new"]"#,   r#""added":["New"]"#,           "New kept old",            "case counts"),
    (r#""added":["new"]"#,   r#""added":[""]"#,              " kept old",               "an empty name is a name"),
    (r#""added":["new"]"#,   r#""added":["../x","/etc"]"#,   "../x /etc kept old",      "names are matched, never opened"),
];

#[test]
fn paths_are_known_only_where_the_list_tells_them() {
    for (piece, by, expected, why) in PATHS {
        let body = if *piece == "PUSH" { PUSH.to_owned() } else { push_with(piece, by) };
        let told = match push(read_json("push", body)).paths {
            Paths::Known(files) => files.join(" "),
            Paths::NotKnowable(unknown) => unknown.to_string(),
        };
        assert_eq!(told, *expected, "{why}");
    }
}

const COMMIT: &str = r#"{"added":["new"],"removed":["old"],"modified":["kept"]}"#;

#[test]
fn a_list_of_commits_that_may_be_cut_off_tells_nothing() {
    #[rustfmt::skip]
    let cases = [
        // commits   paths                                  why
        (0,         Err(PathsUnknown::NoCommits),           "nothing is listed"),
        (1,         Ok(1),                                  "one"),
        (2_047,     Ok(2_047),                              "one less than GitHub lists"),
        (2_048,     Err(PathsUnknown::TooManyCommits),      "as many as GitHub lists: more may have been pushed"),
        (2_049,     Err(PathsUnknown::TooManyCommits),      "one more than GitHub says it lists"),
        (100_000,   Err(PathsUnknown::TooManyCommits),      "far more"),
    ];
    for (count, expected, why) in cases {
        let commits: Vec<String> = (0..count).map(|index| format!(r#"{{"added":["{index}"]}}"#)).collect();
        let paths = push(read_json("push", push_with(COMMIT, &commits.join(",")))).paths;
        let told = match paths {
            Paths::Known(files) => Ok(files.len()),
            Paths::NotKnowable(unknown) => Err(unknown),
        };
        assert_eq!(told, expected, "{why}");
    }
    let half_a_million = vec!["{}"; 500_000].join(",");
    let paths = push(read_json("push", push_with(COMMIT, &half_a_million))).paths;
    assert_eq!(paths, Paths::NotKnowable(PathsUnknown::TooManyCommits), "what is beyond the bound is not kept");
}

#[test]
fn more_paths_than_can_be_carried_are_not_knowable() {
    const BOUND: usize = 240_000;
    const AROUND: usize = 3; // the quotes and the comma
    let files = |count: usize, each: usize| -> Vec<String> {
        (0..count).map(|index| format!("{index:0>width$}", width = each - AROUND)).collect()
    };
    #[rustfmt::skip]
    let cases = [
        // files                                                     known  why
        (vec!["a".repeat(BOUND - AROUND)],                           true,  "one file that fills the bound"),
        (vec!["a".repeat(BOUND - AROUND + 1)],                       false, "one byte more"),
        (files(2_400, 100),                                          true,  "many files that fill the bound"),
        ([files(2_400, 100), vec![String::new()]].concat(),          false, "and one more, without a name"),
        ([files(2_400, 100), files(2_400, 100)].concat(),            true,  "a file twice weighs once"),
        (vec!["é".repeat((BOUND - AROUND) / 6)],                     true,  "six bytes for é, as JSON's ASCII writes it"),
        (vec!["é".repeat((BOUND - AROUND) / 6 + 1)],                 false, "one é more"),
        (vec!["🎩".repeat((BOUND - AROUND) / 12)],                   true,  "twelve for a surrogate pair"),
        (vec!["🎩".repeat((BOUND - AROUND) / 12 + 1)],               false, "one pair more"),
        (vec!["\u{1}".repeat((BOUND - AROUND) / 6 + 1)],             false, "six for a control character"),
        (vec!["\"".repeat((BOUND - AROUND) / 6 + 1)],                false, "no less than its escape for a quote"),
        (files(100_000, 8),                                          false, "a hundred thousand short names"),
    ];
    for (files, is_known, why) in cases {
        let commit = serde_json::json!({ "added": files }).to_string();
        let paths = push(read_json("push", push_with(COMMIT, &commit))).paths;
        match paths {
            Paths::Known(_) => assert!(is_known, "{why}"),
            Paths::NotKnowable(unknown) => {
                assert_eq!((unknown, is_known), (PathsUnknown::TooManyPaths, false), "{why}")
            }
        }
    }
}

#[test]
fn no_refusal_quotes_the_body() {
    for piece in ["refs/heads/main", "1111111111111111111111111111111111111111", "acme/shop", "7", "false", "ada@"] {
        let hostile = PUSH.replacen(piece, PRIVATE, 1);
        let _sentence_is_checked = word(&read_json("push", hostile));
    }
}
