//! A transport that follows a script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use rosn_http::{Body, BoxFuture, Error, Phase, RoundTrip};

/// Answers by what is asked for, and keeps what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Default)]
struct Inner {
    answers: Mutex<HashMap<String, Vec<String>>>,
    asked: Mutex<Vec<Asked>>,
}

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Such as `GET http://a.test/`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// The values of a field, with `|` between them.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join("|")
    }
}

impl Script {
    /// Answers a URI: a status and fields, such as `302 Location: /a`, with `; ` between them. The last one is given
    /// again and again.
    pub(crate) fn answer(self, uri: &str, answers: &[&str]) -> Self {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        self.0.answers.lock().unwrap().insert(uri.to_owned(), answers);
        self
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let body = body.bytes(1 << 20).await?;
        self.0.asked.lock().unwrap().push(Asked {
            line: format!("{} {}", parts.method, parts.uri),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        let answer = {
            let mut answers = self.0.answers.lock().unwrap();
            match answers.get_mut(&parts.uri.to_string()) {
                None => return Err(Error::new(Phase::Dns, "no such host")),
                Some(answers) if answers.len() > 1 => answers.remove(0),
                Some(answers) => answers[0].clone(),
            }
        };
        let mut words = answer.split("; ");
        let mut response = Response::builder().status(words.next().unwrap());
        for word in words {
            let (name, value) = word.split_once(": ").unwrap();
            response = response.header(name, value.replace("%3B", ";"));
        }
        Ok(response.body(Body::from("body")).unwrap())
    }
}

impl RoundTrip for Script {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.serve(request))
    }
}
