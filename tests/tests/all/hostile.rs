//! What somebody tries who wants past the gate: each row a request, and what it may come to. None may change anything.

use crate::approvals::{BOB, ONE, TWO, asking, config, digits, real, strange_push};
use pointsman::domain::approval::State;
use pointsman_local::runner::DEFAULT_BASE_URL;
use pointsman_tests::people::link_in;
use pointsman_tests::world::World;
use std::time::Duration;

const FORM: &str = "application/x-www-form-urlencoded";

/// A request, and the status that it is to come to.
struct Try {
    why: &'static str,
    method: &'static str,
    link: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u64,
}

/// The vote that would count: everything in it as the page sends it.
fn good(link: &str) -> Try {
    Try {
        why: "",
        method: "POST",
        link: link.to_owned(),
        headers: vec![
            ("Content-Type", FORM.to_owned()),
            ("Origin", DEFAULT_BASE_URL.to_owned()),
            ("Sec-Fetch-Site", "same-origin".to_owned()),
            ("Sec-Fetch-Dest", "document".to_owned()),
        ],
        body: format!("sha={}&comment=&decision=approve", digits(2)).into_bytes(),
        status: 200,
    }
}

impl Try {
    fn why(mut self, why: &'static str, status: u64) -> Self {
        (self.why, self.status) = (why, status);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value.to_owned()));
        self
    }

    fn more(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    fn link(mut self, link: impl Into<String>) -> Self {
        self.link = link.into();
        self
    }

    async fn send(&self, world: &World) -> pointsman_tests::people::Answered {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.request(self.method, &self.link, &headers, &self.body).await
    }
}

/// Everything that is sent from outside to an open approval of Bob's.
fn tries(link: &str) -> Vec<Try> {
    let all = [looking, without_proof, from_elsewhere, of_another_kind, other_forms, other_links];
    all.iter().flat_map(|some| some(link)).collect()
}

/// Methods that only look, and those that the page has not.
fn looking(link: &str) -> Vec<Try> {
    let it = || good(link);
    vec![
        it().method("GET").why("a scanner opens the link, with the whole vote in its body", 200),
        it().method("HEAD").why("another asks for the head", 200),
        it().method("OPTIONS").why("a browser of another site asks whether it may", 204),
        it().method("GET").header("X-HTTP-Method-Override", "POST").why("a header that some frameworks obey", 200),
        it().method("PUT").why("no method of the page", 405),
        it().method("PATCH").why("nor this", 405),
        it().method("DELETE").why("nor this", 405),
        it().method("TRACE").why("nor this", 405),
    ]
}

/// The digits, and what a no needs.
fn without_proof(link: &str) -> Vec<Try> {
    let it = || good(link);
    let sha = digits(2);
    vec![
        it().body(fields("comment=&decision=approve")).why("no proof", 422),
        it().body(fields("sha=&comment=&decision=approve")).why("an empty one", 422),
        it().body(fields("sha=0000000&comment=&decision=approve")).why("zeros", 422),
        it().body(format!("sha={}&comment=&decision=approve", digits(3))).why("another commit's", 422),
        it().body(format!("sha={}&comment=&decision=approve", &sha[..6])).why("one digit short", 422),
        it().body(fields("sha=SHA0&comment=&decision=approve")).why("one too many", 422),
        it().body(fields("sha=%2A%2A%2A%2A%2A%2A%2A&comment=&decision=approve")).why("stars", 422),
        it().body(fields("sha=SHA%00&comment=&decision=approve")).why("a zero byte behind it", 422),
        it().body(fields("sha=0000000&comment=no&decision=reject")).why("a no without having read it", 422),
        it().body(fields("sha=SHA&comment=&decision=reject")).why("a no without a reason", 422),
        it().body(fields("sha=SHA&comment=%20%0A&decision=reject")).why("a reason of blanks", 422),
    ]
}

/// Where it comes from.
fn from_elsewhere(link: &str) -> Vec<Try> {
    let it = || good(link);
    vec![
        it().header("Origin", "https://evil.example").why("another site", 403),
        it().header("Origin", "null").without("Sec-Fetch-Site").why("a sandboxed frame, or a file", 403),
        it().header("Origin", "null")
            .header("Sec-Fetch-Site", "cross-site")
            .why("a sandboxed frame of another site", 403),
        it().without("Origin").why("no origin at all", 403),
        it().without("Origin").header("Referer", DEFAULT_BASE_URL).why("a referrer is none", 403),
        it().header("Origin", "http://127.0.0.1:3001").why("another port", 403),
        it().header("Origin", "https://127.0.0.1:3000").why("another scheme", 403),
        it().header("Origin", "http://127.0.0.1:3000.evil.example").why("a host that begins alike", 403),
        it().header("Origin", "http://127.0.0.1:3000/").why("a path behind it", 403),
        it().header("Origin", "HTTP://127.0.0.1:3000").why("no browser writes it so", 403),
        it().more("Origin", "https://evil.example").why("two origins", 403),
        it().header("Host", "evil.example")
            .header("Origin", "https://evil.example")
            .why("a host that agrees with it", 403),
        it().header("X-Forwarded-Host", "evil.example")
            .header("Origin", "https://evil.example")
            .why("by a proxy's word", 403),
        it().header("Sec-Fetch-Site", "cross-site").why("the browser says that another site sent it", 403),
        it().header("Sec-Fetch-Site", "same-site").why("a neighbour's subdomain", 403),
        it().header("Sec-Fetch-Site", "none").why("a bookmark sends no form", 403),
        it().more("Sec-Fetch-Site", "cross-site").why("two sites", 403),
        it().header("Sec-Fetch-Dest", "iframe").why("framed", 403),
        it().header("Sec-Fetch-Dest", "empty").why("a script", 403),
    ]
}

/// What it is: its kind, and its size.
fn of_another_kind(link: &str) -> Vec<Try> {
    let it = || good(link);
    let sha = digits(2);
    vec![
        it().header("Content-Type", "application/json").body(r#"{"decision":"approve"}"#).why("JSON", 415),
        it().header("Content-Type", "text/plain").why("what a form may send without asking first", 415),
        it().header("Content-Type", "multipart/form-data; boundary=x").why("the other kind of form", 415),
        it().without("Content-Type").why("nothing said", 415),
        it().more("Content-Type", "text/plain").why("two kinds", 415),
        it().body(vec![b'a'; 20_000]).why("more than the page sends", 413),
        it().body(format!("sha={sha}&decision=approve&comment={}", "a".repeat(1_001))).why("a comment too long", 422),
    ]
}

/// The fields of the form.
fn other_forms(link: &str) -> Vec<Try> {
    let it = || good(link);
    vec![
        it().body("").why("nothing", 400),
        it().body(fields("sha=SHA&comment=")).why("no decision", 400),
        it().body(fields("sha=SHA&comment=&decision=perhaps")).why("another decision", 400),
        it().body(fields("sha=SHA&comment=&decision=APPROVE")).why("in capitals", 400),
        it().body(fields("sha=SHA&comment=&decision=reject&decision=approve")).why("both decisions", 400),
        it().body(fields("sha=0000000&sha=SHA&comment=&decision=approve")).why("two proofs", 400),
        it().body(fields("sha=SHA&comment=a&comment=b&decision=approve")).why("two comments", 400),
        it().body(fields("sha=SHA&comment=&decision=approve&person=ada@example.com")).why("for somebody else", 400),
        it().body(fields("sha=SHA&comment=&decision=approve&approval=ap-00000000000000000000"))
            .why("for another approval", 400),
        it().body(fields("sha=SHA&comment=why&decision=approve&override=true"))
            .why("an override that the page has not", 400),
        it().body([fields("sha=SHA&comment="), b"%FF%FE".to_vec(), b"&decision=perhaps".to_vec()].concat())
            .why("bytes that are no text", 400),
    ]
}

/// The link.
fn other_links(link: &str) -> Vec<Try> {
    let it = || good(link);
    vec![
        it().link(changed(link, 0)).why("its first character changed", 404),
        it().link(changed(link, 20)).why("one in the middle", 404),
        it().link(&link[..42]).why("cut short", 404),
        it().link(format!("{link}A")).why("one longer", 404),
        it().link(link.to_lowercase()).why("in small letters", 404),
        it().link("").why("none", 403),
        it().link("A".repeat(43)).why("a guess", 404),
        it().link("A".repeat(5_000)).why("a long one", 404),
        it().link("%2e%2e%2fwebhook").why("another path", 404),
        it().link(format!("{link}%00")).why("a zero byte behind it", 404),
        it().link("ap-00000000000000000000").why("an approval's id is no link", 404),
        it().link(hash_of(link)).why("nor is what the ledger holds", 404),
    ]
}

/// A form's text with the right digits in it.
fn fields(text: &str) -> Vec<u8> {
    text.replace("SHA", &digits(2)).into_bytes()
}

/// A link with one character changed.
fn changed(link: &str, at: usize) -> String {
    let mut bytes = link.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn hash_of(link: &str) -> String {
    pointsman::domain::approval::LinkHash::of(link).as_str().to_owned()
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_past_the_gate_by_a_request_that_the_page_does_not_make() {
    let world = asking(ONE, "").await;
    // An execution of another commit, which asks elsewhere: here the same pipeline, after the first was rejected.
    let link = world.link_of(BOB);
    let elsewhere = real(&config(ONE, "")).await;
    elsewhere.send("push", "d3", &strange_push("production", 1, 3, 1)).await;
    elsewhere.pass(Duration::from_secs(300)).await;
    let foreign = elsewhere.link_of(BOB);
    let before = world.dump();
    let all = tries(&link);
    assert!(all.len() >= 50, "{}", all.len());
    for one in &all {
        let answered = one.send(&world).await;
        assert_eq!(answered.status, one.status, "{}: {}", one.why, answered.body);
        assert!(!answered.body.contains(&link), "{}: the answer repeats the link", one.why);
        assert_eq!(world.dump(), before, "{}: something was written", one.why);
    }
    // The link of one approval is worth nothing for another, whatever is typed.
    assert_eq!(good(&foreign).send(&elsewhere).await.status, 422, "the digits of the other commit");
    // After all that, the right one still counts.
    assert_eq!(good(&link).send(&world).await.status, 200);
    assert_ne!(world.dump(), before);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_scanners_change_nothing() {
    let world = asking(ONE, "").await;
    let link = world.link_of(BOB);
    let before = world.dump();
    for number in 0..100 {
        let method = ["GET", "HEAD", "OPTIONS"][number % 3];
        let answered = world.request(method, &link, &[("User-Agent", "scanner")], b"").await;
        assert!(answered.status == 200 || answered.status == 204);
    }
    assert_eq!(world.dump(), before);
    assert_eq!(world.approvals().await[0].state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_vote_that_is_replayed_counts_once_and_one_that_is_late_never() {
    let world = asking(TWO, "").await;
    let link = world.link_of(BOB);
    for _ in 0..3 {
        assert_eq!(good(&link).send(&world).await.status, 200);
    }
    assert_eq!(world.approvals().await[0].votes.len(), 1);
    // A second after it has expired: a sleep until then, with no turn of `sweep` in between.
    let approval = world.approvals().await.remove(0);
    let left = approval.expires_at.duration_since(world.aws().clock().now());
    let left = Duration::try_from(left).unwrap();
    world.aws().faults().next_event("Scheduled Event", pointsman_local::faults::EventFault::Never);
    world.pass(left + Duration::from_millis(1_500)).await;
    let late = good(&link).send(&world).await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(!late.body.contains("<form"));
    assert_eq!(world.approvals().await[0].status(), "expired");
}

#[tokio::test(start_paused = true)]
async fn links_that_newer_ones_took_the_place_of_open_nothing() {
    let world = asking(ONE, "").await;
    let approval = world.approvals().await.remove(0);
    for _ in 0..5 {
        let mut loaded = world.local.ledger().approval(&approval.id).await.unwrap().unwrap();
        let now = world.aws().clock().now();
        loaded.value.ask_again([BOB.to_owned()].iter(), now);
        loaded.value.reschedule(now);
        world.local.ledger().save(pointsman::ledger::Writes::new().approval(&loaded)).await.unwrap();
        world.pass(Duration::from_secs(90)).await;
    }
    let mails = world.mails_to(BOB);
    assert_eq!(mails.len(), 6);
    let statuses: Vec<_> = {
        let mut statuses = Vec::new();
        for mail in &mails {
            statuses.push(world.open(&link_in(&mail.body)).await.status);
        }
        statuses
    };
    assert_eq!(statuses, [410, 200, 200, 200, 200, 200], "five live at once");
    assert_eq!(good(&link_in(&mails[0].body)).send(&world).await.status, 410);
}

#[tokio::test(start_paused = true)]
async fn what_a_stranger_wrote_is_text() {
    let script = "<script>fetch('/approvals')</script>";
    let world = real(&config(ONE, "")).await;
    let mut payload = strange_push("production", 1, 2, 1);
    let commit = &mut payload["head_commit"];
    commit["message"] = format!("\u{202e}{script} http://evil.example/ www.evil.example").into();
    commit["author"]["name"] = format!("{script}\"'><img src=x onerror=alert(1)>").into();
    payload["commits"] = serde_json::json!([payload["head_commit"].clone()]);
    world.send("push", "d2", &payload).await;
    world.pass(Duration::from_secs(300)).await;
    let link = world.link_of(BOB);
    let no = [("sha", digits(2)), ("comment", format!("{script}</textarea>")), ("decision", "perhaps".to_owned())];
    let pages = [
        world.open(&link).await.body,
        world.answer(&link, &no.each_ref().map(|(name, value)| (*name, value.as_str()))).await.body,
        world
            .answer(&link, &[("sha", "0000000"), ("comment", &format!("{script}</textarea>")), ("decision", "reject")])
            .await
            .body,
        world
            .answer(&link, &[("sha", &digits(2)), ("comment", &format!("{script}</textarea>")), ("decision", "reject")])
            .await
            .body,
    ];
    for page in pages {
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    }
    let mail = &world.mails_to(BOB)[0];
    assert_eq!(
        mail.body.matches("://").count(),
        mail.body.matches(DEFAULT_BASE_URL).count() + footer_links(&mail.body),
        "{}",
        mail.body
    );
    assert!(!mail.body.contains("www.evil.example") && !mail.body.contains('\u{202e}'), "{}", mail.body);
}

/// What SNS itself puts below a mail.
fn footer_links(body: &str) -> usize {
    body.split_once("\n--\n").map_or(0, |(_, footer)| footer.matches("://").count())
}

#[tokio::test(start_paused = true)]
async fn every_answer_keeps_itself_from_being_framed_kept_or_run() {
    let world = asking(ONE, "").await;
    let link = world.link_of(BOB);
    let answers = [
        world.open(&link).await,
        world.open("unknown").await,
        good(&link).method("PUT").send(&world).await,
        good(&link).without("Origin").send(&world).await,
        good(&link).body("sha=1").send(&world).await,
        good(&link).send(&world).await,
        good(&link).send(&world).await,
    ];
    for answered in answers {
        let header = |name: &str| answered.headers[name].as_str().unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert!(header("access-control-allow-origin").is_empty());
        assert!(header("set-cookie").is_empty());
    }
}
