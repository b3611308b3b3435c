//! The HTTP API of the template: which function a request goes to, and how API Gateway hands it over.

use crate::aws::ACCOUNT;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The method of a route that takes every method.
pub const ANY: &str = "ANY";

/// A route: which function answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRoute {
    /// `/webhook`, or with a name for a whole segment: `/approvals/{link}`. API Gateway calls it the resource path.
    pub path: String,
    /// `POST`, or [`ANY`].
    pub method: String,
    /// The function's name.
    pub function: String,
}

impl HttpRoute {
    /// What stands in `path` for each name of this route; `None` when the path is another one.
    ///
    /// As it was sent: API Gateway decodes no `%2B` here, and none in the path.
    /// Source: an answer recorded from AWS, in the tests of LocalStack (`test_lambda_aws_proxy_integration`).
    fn parameters(&self, path: &str) -> Option<Map<String, Value>> {
        let (own, given) = (self.path.split('/'), path.split('/'));
        if own.clone().count() != given.clone().count() {
            return None;
        }
        let mut parameters = Map::new();
        for (own, given) in own.zip(given) {
            match own.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if !given.is_empty() => {
                    parameters.insert(name.to_owned(), given.into());
                }
                None if own == given => {}
                Some(_) | None => return None,
            }
        }
        Some(parameters)
    }

    /// A request as API Gateway's REST API hands it to a function. Every media type is binary (the template says so), so
    /// every body is base64.
    pub(crate) fn event(&self, request_id: &str, request: &HttpRequest<'_>) -> Value {
        let HttpRequest { method, path, headers, body } = request;
        let mut single = Map::new();
        let mut multi: Map<String, Value> = Map::new();
        for (name, value) in *headers {
            let text = String::from_utf8_lossy(value).into_owned();
            single.insert(name.clone(), text.clone().into());
            if let Value::Array(all) = multi.entry(name.clone()).or_insert_with(|| json!([])) {
                all.push(text.into());
            }
        }
        let parameters = self.parameters(path).filter(|parameters| !parameters.is_empty());
        json!({
            "resource": self.path, "path": path, "httpMethod": method,
            "headers": single, "multiValueHeaders": multi,
            "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": parameters, "stageVariables": null,
            "requestContext": {
                "accountId": ACCOUNT, "apiId": "local", "requestId": request_id, "stage": "live",
                "httpMethod": method, "path": path, "resourcePath": self.path, "protocol": "HTTP/1.1",
                "identity": { "sourceIp": "127.0.0.1" },
            },
            "body": base64::engine::general_purpose::STANDARD.encode(body),
            "isBase64Encoded": true,
        })
    }
}

/// A request, with its path as it was sent.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(String, Vec<u8>)],
    pub(crate) body: &'a [u8],
}

/// The routes of the template.
#[derive(Debug, Clone, Default)]
pub struct HttpApi {
    routes: Vec<HttpRoute>,
}

impl HttpApi {
    pub(crate) fn add(&mut self, route: HttpRoute) {
        self.routes.push(route);
    }

    /// The route that a request takes: the one of its own method before the one of any.
    pub fn route(&self, method: &str, path: &str) -> Option<&HttpRoute> {
        let here = self.at(path);
        let of = |method: &str| here.iter().copied().find(|route| route.method == method);
        of(method).or_else(|| of(ANY))
    }

    /// The methods that `path` takes; none when there is no such path.
    pub fn methods(&self, path: &str) -> BTreeSet<&str> {
        self.at(path).into_iter().map(|route| route.method.as_str()).collect()
    }

    /// The routes of a path: a path that is written out goes before one with a name in it.
    fn at(&self, path: &str) -> Vec<&HttpRoute> {
        let all = self.routes.iter().filter_map(|route| Some((route.parameters(path)?.len(), route)));
        let all: Vec<_> = all.collect();
        let fewest = all.iter().map(|(names, _)| *names).min();
        all.into_iter().filter(|(names, _)| Some(*names) == fewest).map(|(_, route)| route).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> HttpApi {
        let mut api = HttpApi::default();
        for (method, path) in [
            ("POST", "/webhook"),
            (ANY, "/approvals/{link}"),
            ("GET", "/approvals/{link}"),
            ("GET", "/approvals/help"),
            ("GET", "/of/{one}/and/{other}"),
        ] {
            let function = format!("{method} {path}");
            api.add(HttpRoute { path: path.to_owned(), method: method.to_owned(), function });
        }
        api
    }

    #[test]
    fn a_request_takes_the_route_that_says_most_of_it() {
        #[rustfmt::skip]
        let cases = [
            ("POST",    "/webhook",          Some("POST /webhook"),              "written out"),
            ("GET",     "/webhook",          None,                               "another method"),
            ("POST",    "/webhook/",         None,                               "another path"),
            ("POST",    "/Webhook",          None,                               "paths have a case"),
            ("GET",     "/approvals/a-_9",   Some("GET /approvals/{link}"),      "its own method goes before any"),
            ("HEAD",    "/approvals/a-_9",   Some("ANY /approvals/{link}"),      "any is any"),
            ("OPTIONS", "/approvals/a%2Fb",  Some("ANY /approvals/{link}"),      "an encoded slash ends no segment"),
            ("GET",     "/approvals/help",   Some("GET /approvals/help"),        "what is written out goes before a name"),
            ("POST",    "/approvals/help",   None,                               "and its methods are all that there is"),
            ("GET",     "/approvals/",       None,                               "a name stands for something"),
            ("GET",     "/approvals",        None,                               "nothing is there"),
            ("GET",     "/approvals/a/b",    None,                               "for one segment"),
            ("GET",     "/of/1/and/2",       Some("GET /of/{one}/and/{other}"),  "two names"),
        ];
        let api = api();
        for (method, path, expected, why) in cases {
            assert_eq!(
                api.route(method, path).map(|route| route.function.as_str()),
                expected,
                "{why}: {method} {path}"
            );
        }
        assert_eq!(api.methods("/approvals/x"), BTreeSet::from(["ANY", "GET"]));
        assert!(api.methods("/nothing").is_empty());
    }

    #[test]
    fn a_function_is_told_the_resource_and_what_stands_in_its_place() {
        let api = api();
        let event = |method: &str, path: &str| {
            let headers = [("A".to_owned(), b"1".to_vec()), ("A".to_owned(), b"2".to_vec())];
            let request = HttpRequest { method, path, headers: &headers, body: b"x=1" };
            api.route(method, path).unwrap().event("id", &request)
        };
        let asked = event("POST", "/approvals/a%2Fb+c");
        assert_eq!((&asked["resource"], &asked["path"]), (&json!("/approvals/{link}"), &json!("/approvals/a%2Fb+c")));
        assert_eq!(asked["requestContext"]["resourcePath"], "/approvals/{link}");
        assert_eq!(asked["pathParameters"], json!({ "link": "a%2Fb+c" }));
        assert_eq!((&asked["httpMethod"], &asked["body"]), (&json!("POST"), &json!("eD0x")));
        assert_eq!((&asked["headers"]["A"], &asked["multiValueHeaders"]["A"]), (&json!("2"), &json!(["1", "2"])));
        assert_eq!(event("POST", "/webhook")["pathParameters"], Value::Null, "no names, no parameters");
        assert_eq!(event("GET", "/of/1/and/2")["pathParameters"], json!({ "one": "1", "other": "2" }));
    }
}
