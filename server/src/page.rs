//! The page: Trunk's `dist` folder, from inside the binary or from the working directory.

use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

/// Path below the page, bytes. Empty unless the page was built before a release build of this binary.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Where a build without the page looks for it.
const FOLDER: &str = "dist";

const NOT_BUILT: &str = "<!doctype html><title>Ottla</title><p>The page is not built: run <code>cargo xtask page</code>, \
                         or <code>trunk build --release</code>, in the repository and reload.</p>";

/// Answers a request for a file of the page. A path without an extension is one of the page's own routes.
pub async fn respond(method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    let path = path.trim_start_matches('/');
    let is_route = !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let path = if is_route { "index.html" } else { path };
    let takes_brotli = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.split(';').next().is_some_and(|name| name.trim() == "br"));
    let compressed = if takes_brotli { find(&format!("{path}.br")).await } else { None };
    let is_compressed = compressed.is_some();
    let found = match compressed {
        Some(bytes) => Some(bytes),
        None => find(path).await,
    };
    let Some(bytes) = found else {
        return if is_route { html(NOT_BUILT) } else { plain(StatusCode::NOT_FOUND, "no such file\n") };
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Trunk puts a hash into every name but the page's own.
    let caching = if has_hash(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if is_compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    response
}

async fn find(path: &str) -> Option<Bytes> {
    if !EMBEDDED.is_empty() {
        let position = EMBEDDED.binary_search_by_key(&path, |(name, _)| name);
        return position.ok().and_then(|at| EMBEDDED.get(at)).map(|(_, bytes)| Bytes::from_static(bytes));
    }
    // Only plain names below the folder: nothing climbs out of it.
    let is_plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('\\');
    if !path.split('/').all(is_plain) {
        return None;
    }
    let path = Path::new(FOLDER).join(path);
    tokio::task::spawn_blocking(move || std::fs::read(path)).await.ok()?.ok().map(Bytes::from)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether a file's name carries a hash of its content, as `web-0123456789abcdef_bg.wasm` does.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split(['-', '_', '.'])
        .any(|part| part.len() >= 14 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn html(text: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::OK, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A line of text.
pub fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types() {
        assert_eq!(media_type("web-0123_bg.wasm"), "application/wasm");
        assert_eq!(media_type("a/b/LICENSE"), "application/octet-stream");
        assert!(has_hash("web-0123456789abcdef_bg.wasm"));
        assert!(!has_hash("index.html"));
    }

    #[tokio::test]
    async fn nothing_climbs_out_of_the_folder() {
        for path in ["../Cargo.toml", "a/../../Cargo.toml", "/etc/hosts.conf", ".git/config.x", "a//b.js"] {
            assert!(find(path).await.is_none(), "{path}");
        }
    }
}
