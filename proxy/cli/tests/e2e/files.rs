//! In front of Debian's nginx, which serves a tree: listings, ranges, conditions, redirects, uploads.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::banyan::Banyan;
use crate::is_full;
use crate::pages::{Page, assert_same, get, hide};
use crate::process::{Process, free_address, program};

struct Nginx {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let tree = folder.path().join("tree");
        plant(&tree);
        // Apart from the tree: what is uploaded on one side must not show in a listing of the other.
        std::fs::create_dir_all(folder.path().join("written/up")).unwrap();
        std::fs::write(folder.path().join("nginx.conf"), configuration(folder.path(), address)).unwrap();
        let mut command = program("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut process = Process::start("nginx", &mut command, folder.path());
        process.listens_on(address).await;
        Self { address, _process: process, _folder: folder }
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};"))
        .join("\n");
    format!(
        "user root root;
         daemon off;
         master_process off;
         pid {folder}/nginx.pid;
         events {{ worker_connections 256; }}
         http {{
             access_log off;
             {temporary}
             types {{ text/html html; text/plain txt; application/octet-stream bin; }}
             gzip on;
             gzip_types text/plain;
             client_max_body_size 0;
             server {{
                 listen {address};
                 root {folder}/tree;
                 autoindex on;
                 charset utf-8;
                 location = /old {{ return 301 /docs/; }}
                 location = /away {{ return 302 http://other.example/; }}
                 location = /limited {{ limit_except GET {{ deny all; }} }}
                 location /up/ {{ root {folder}/written; dav_methods PUT DELETE; create_full_put_path on; }}
                 location /cookies {{
                     add_header Set-Cookie \"one=1; Path=/\";
                     add_header Set-Cookie \"two=2; Path=/; Domain=shop.example\";
                     add_header X-Odd-Case \"kept\";
                     return 200 \"cookies\";
                 }}
             }}
         }}"
    )
}

/// What is served.
fn plant(tree: &Path) {
    std::fs::create_dir_all(tree.join("docs/deep")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(tree.join(name), bytes).unwrap();
    write("hello.txt", "Hello, world. ".repeat(1000).as_bytes());
    write("docs/index.html", b"<h1>Documents</h1>");
    write("docs/deep/a b;c.txt", b"spaces");
    write("Straße.txt", "Grüße".as_bytes());
    write("empty.txt", b"");
    let large = if is_full() { 256 } else { 24 } * 1024 * 1024 + 7;
    write(
        "large.bin",
        &(0..large).map(|n: u32| n.to_le_bytes()[usize::from(n.is_multiple_of(3))]).collect::<Vec<u8>>(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_answers_alike_with_and_without_the_proxy() {
    let nginx = Nginx::start().await;
    let banyan = Banyan::before(nginx.address).await;
    let etag = get("/hello.txt").ask(nginx.address).await.field("etag").unwrap().to_owned();
    let changed = get("/hello.txt").ask(nginx.address).await.field("last-modified").unwrap().to_owned();
    let pages = [reading(), conditional(&etag, &changed), ranges(&etag), odd(), writing()].concat();
    // Each side from begin to end, so that what is written meets the same state.
    let mut answers = Vec::new();
    for page in &pages {
        answers.push(page.ask(nginx.address).await);
    }
    let mut statuses = std::collections::BTreeSet::new();
    for (page, direct) in pages.iter().zip(&answers) {
        assert_same(page, direct, &page.ask(banyan.address).await, own_words_hidden);
        statuses.insert(direct.status.clone());
    }
    // The list is worth something: all of these came up.
    for code in ["200", "201", "204", "206", "301", "302", "304", "403", "404", "405", "412", "416"] {
        assert!(statuses.iter().any(|status| status.starts_with(code)), "no {code} in {statuses:?}");
    }
    let redirected = get("/docs").ask(nginx.address).await;
    assert_eq!(
        redirected.field("location"),
        Some(&*format!("http://shop.example:{}/docs/", nginx.address.port()))
    );
    let redirected = get("/docs").ask(banyan.address).await;
    assert_eq!(redirected.field("location"), Some("http://shop.example/docs/"));
    eprintln!("nginx: {} answers alike", pages.len());
}

/// nginx numbers the boundaries of its multipart answers, and redirects to the port it listens on, which clients of the
/// proxy do not see.
fn own_words_hidden(text: &str) -> String {
    let text = hide(text, "http://shop.example", "/");
    let text = hide(&text, "boundary=", "\n");
    if text.starts_with("\r\n--") { hide(&text, "\r\n--", "\r\n") } else { text }
}

fn reading() -> Vec<Page> {
    let paths = [
        "/",
        "/docs/",
        "/docs/deep/",
        "/hello.txt",
        "/hello.txt?a=b&c=%20d",
        "/empty.txt",
        "/docs/deep/a%20b%3Bc.txt",
        "/Stra%C3%9Fe.txt",
        "/Stra%c3%9fe.txt",
        "//docs//deep/../deep/",
        "/nothing",
        "/cookies",
        "/large.bin",
        // Absolute, to the name the client asked under.
        "/docs",
        "/docs/deep",
        "/old",
        "/away",
    ];
    paths.iter().flat_map(|path| [get(path), get(path).method("HEAD")]).collect()
}

fn conditional(etag: &str, changed: &str) -> Vec<Page> {
    vec![
        get("/hello.txt").with("If-None-Match", etag),
        get("/hello.txt").with("If-None-Match", "\"other\""),
        get("/hello.txt").with("If-Match", "\"other\""),
        get("/hello.txt").with("If-Modified-Since", changed),
        get("/hello.txt").with("If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        get("/hello.txt").method("HEAD").with("If-None-Match", etag),
        get("/hello.txt").with("Accept-Encoding", "gzip"),
        get("/hello.txt").method("HEAD").with("Accept-Encoding", "gzip"),
    ]
}

fn ranges(etag: &str) -> Vec<Page> {
    let ranges = ["bytes=0-9", "bytes=-5", "bytes=100-", "bytes=0-0,10-19,-3", "bytes=99999999-", "bytes=x"];
    let mut pages: Vec<Page> = ranges.map(|range| get("/hello.txt").with("Range", range)).into();
    pages.push(get("/hello.txt").with("Range", "bytes=0-9").with("If-Range", etag));
    pages.push(get("/hello.txt").with("Range", "bytes=0-9").with("If-Range", "\"other\""));
    pages.push(get("/large.bin").with("Range", "bytes=1000000-9000000"));
    pages
}

fn odd() -> Vec<Page> {
    vec![
        get("/hello.txt").method("POST").body("form=1"),
        get("/limited").method("DELETE"),
        get("/hello.txt").method("OPTIONS"),
        get("/hello.txt").method("BREW"),
        get("/cookies").with("X-Empty", "").with("Cookie", "a=1").with("Cookie", "b=2"),
        get("/hello.txt").with("Accept", "text/html, */*;q=0.1").with("X-Long", "x".repeat(6000)),
    ]
}

/// Ends where it began. `Date` is nginx' way to say when the file was changed.
fn writing() -> Vec<Page> {
    let day = "Thu, 01 Jan 2026 00:00:00 GMT";
    let large = vec![b'x'; 8 * 1024 * 1024];
    let put = |target: &str| get(target).method("PUT").with("Date", day);
    vec![
        put("/up/new.txt").body("first"),
        put("/up/new.txt").body("second"),
        get("/up/new.txt"),
        put("/up/made/large.bin").body(large.clone()),
        get("/up/made/large.bin"),
        put("/up/chunked.bin").body(large).chunked(),
        get("/up/chunked.bin").method("HEAD"),
        put("/up/expected.txt").with("Expect", "100-continue").body("after the interim answer"),
        get("/up/expected.txt"),
        put("/up/empty.txt").body(""),
        get("/up/").method("HEAD"),
        get("/up/new.txt").method("DELETE"),
        get("/up/made/").method("DELETE").with("Depth", "infinity"),
        get("/up/chunked.bin").method("DELETE"),
        get("/up/expected.txt").method("DELETE"),
        get("/up/empty.txt").method("DELETE"),
        get("/up/gone.txt").method("DELETE"),
    ]
}
