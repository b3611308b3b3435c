//! Reads the HTML that we write, as far as the tests ask about it.

use std::collections::BTreeMap;

/// An opening tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) name: String,
    /// A flag such as `disabled` has an empty value.
    pub(super) attributes: BTreeMap<String, String>,
}

impl Tag {
    pub(super) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    pub(super) fn is(&self, attribute: &str, value: &str) -> bool {
        self.get(attribute) == Some(value)
    }
}

/// The text of the one `<style>`.
pub(super) fn style(html: &str) -> &str {
    let (_, after) = html.split_once("<style>").unwrap();
    after.split_once("</style>").unwrap().0
}

/// What stands after the head.
fn body(html: &str) -> &str {
    html.split_once("<body>").unwrap().1
}

/// The opening tags of the body. A `<` that a stranger wrote is escaped, so each begins one.
pub(super) fn tags(html: &str) -> Vec<Tag> {
    let pieces = body(html).split('<').skip(1).filter(|piece| !piece.starts_with('/'));
    pieces.map(|piece| tag(piece.split_once('>').unwrap().0)).collect()
}

fn tag(inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (attribute, value) = (&rest[..end], &rest[end..]);
        let (value, after) = value.strip_prefix("=\"").map_or(("", value), |quoted| quoted.split_once('"').unwrap());
        assert_eq!(attributes.insert(attribute.to_owned(), value.to_owned()), None, "{attribute} twice in {inside}");
        rest = after.trim_start();
    }
    Tag { name: name.to_owned(), attributes }
}

/// What people read in `html`, one line for each block.
pub(super) fn text(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        let (tag, after) = piece.split_once('>').unwrap_or(("", piece));
        let name = tag.split(' ').next().unwrap_or_default();
        if ["p", "h1", "h2", "h3", "h4", "li", "div", "tr", "blockquote", "button", "label", "section"].contains(&name)
        {
            text.push('\n');
        } else if ["th", "td", "dd"].contains(&name) {
            text.push(' ');
        }
        text.push_str(&after.replace('\n', " "));
    }
    let text = text.replace("&#39;", "'").replace("&#34;", "\"");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The part of a page from where `start` stands up to `end`.
pub(super) fn between<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    let (_, after) = html.split_once(start).unwrap();
    after.split_once(end).unwrap().0
}

/// What people read in the body.
pub(super) fn body_text(html: &str) -> String {
    text(body(html))
}
