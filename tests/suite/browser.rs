//! Does a report do what it should in a browser? Opened in headless Chromium, driven through its debugging pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Project, skipped};

/// What a browser is called, in the order in which it is looked for.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page open.
struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    /// What happened between the answers.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `None`, said aloud, where there is none.
    fn start() -> Option<Browser> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
        let Some(program) = found.into_iter().find(|path| path.is_file()) else {
            skipped("no chromium or google-chrome on PATH");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // a debugging pipe is read from 3 and written to 4
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Browser { child, to, from, session: None, last: 0, events: Vec::new(), _profile: profile };
        let pages = browser.call("Target.getTargets", json!({}));
        let page = pages["targetInfos"].as_array().unwrap().iter().find(|one| one["type"] == "page").unwrap();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Sends a command and waits for its answer.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.hear();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn hear(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser went away");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        if message["method"].is_string() {
            self.events.push(message.clone());
        }
        message
    }

    /// Opens a file and waits until it is all there.
    fn open(&mut self, file: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.hear();
        }
    }

    /// The value of an expression in the page.
    fn eval(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}\n{answer}");
        answer["result"]["value"].clone()
    }

    /// As [`Browser::eval`], of a list of words.
    fn words(&mut self, expression: &str) -> Vec<String> {
        let value = self.eval(expression);
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// The width of the window in pixels.
    fn width(&mut self, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// `light` or `dark`.
    fn scheme(&mut self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": "", "features": feature }));
    }

    fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key });
            if key == "Enter" {
                event["text"] = json!(if kind == "keyDown" { "\r" } else { "" });
                event["windowsVirtualKeyCode"] = json!(13);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Messages of the console, errors of scripts, violations of the page's policy.
    fn complaints(&self) -> Vec<&Value> {
        let loud = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        self.events.iter().filter(|event| loud.iter().any(|name| event["method"] == *name)).collect()
    }

    /// Everything that was asked for, over the network or not.
    fn requests(&self) -> Vec<&str> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // a browser that is gone already is no matter
        let _gone = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let mut rest = Vec::new();
        let _closed = std::io::Read::read_to_end(&mut self.from, &mut rest);
        let _ended = self.child.wait();
    }
}

/// What texts and names try to do to a page.
const EVIL: [&str; 6] = [
    "<script>document.title='injected'</script>",
    "<img src=x onerror=\"document.title='injected'\">",
    "</p></section><h1 id=injected>x</h1>",
    "\u{202e}gnirts a\u{202c} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{627}\u{644}\u{641}\u{64a}\u{644}\u{645}",
    "bell \u{7} escape \u{1b}[31m tab\tend \u{85}",
    "\"' onclick=alert(1) {{7*7}} ${7*7} --> ]]>",
];

/// A pipeline with two axes of numbers over hostile texts of two classes, some of them labelled wrong.
fn project() -> Project {
    let (good, bad) = (["fine", "bright", "lovely", "moving"], ["dull", "grey", "awful", "tedious"]);
    let mut rows = String::new();
    for row in 0..160_usize {
        let words = if row % 2 == 0 { good } else { bad };
        let wrong = row % 7 == 0;
        let label = if (row % 2 == 0) != wrong { "<b>good</b>" } else { "bad\u{202e}" };
        let text = format!("{} and {} film{row} {}", words[row / 2 % 4], words[row / 3 % 4], EVIL[row % EVIL.len()]);
        rows.push_str(&format!("{}\n", json!({ "id": format!("r<{row}>"), "text": text, "label": label })));
    }
    let pipeline = "name: films
seed: 1
stages:
  films: { use: ingest, with: { source: films.jsonl, id: id, text: text, label: label } }
  words: { use: tokenize, from: films }
  tfidf: { use: tfidf, from: words }
  model: { use: train, from: tfidf, with: { estimator: { logistic_regression: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 2 } }
  report: { use: report, from: scores, with: { title: \"<script>alert(1)</script> & films\" } }
matrix:
  c: { set: model.estimator.logistic_regression.c, values: [0.01, 1, 100] }
  tfidf.min_df: [1, 3]
";
    Project::new().file("films.jsonl", rows).file("films.yaml", pipeline)
}

/// The contrast of every piece of text that shows, as `[ratio, text]`, the least first. WCAG 2.2, 1.4.3.
const CONTRASTS: &str = r#"(() => {
  const numbers = (colour) => { const all = colour.match(/[\d.]+/g).map(Number); return all.length === 3 ? [...all, 1] : all; };
  const over = (top, under) => [0, 1, 2].map((at) => top[at] * top[3] + under[at] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    let under = [255, 255, 255, 1];
    const chain = [];
    for (let one = element; one; one = one.parentElement) { chain.unshift(one); }
    for (const one of chain) { under = over(numbers(getComputedStyle(one).backgroundColor), under); }
    // shapes that are drawn before a text, in its group, stand behind it
    if (element.closest("svg") && element.parentElement.matches("g.part")) {
      const at = element.getBoundingClientRect();
      for (const shape of element.parentElement.querySelectorAll("rect")) {
        const box = shape.getBoundingClientRect(), style = getComputedStyle(shape);
        if (style.fill !== "none" && box.bottom > at.top + 2 && box.top < at.bottom - 2) {
          const fill = numbers(style.fill);
          under = over([...fill.slice(0, 3), fill[3] * style.fillOpacity * style.opacity], under);
        }
      }
    }
    return under;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.matches("script, title, desc")) { continue; }
    const style = getComputedStyle(element);
    let under = behind(element);
    const colour = numbers(element.closest("svg") ? style.fill : style.color);
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) { opacity *= getComputedStyle(one).opacity; }
    const own = over([...colour.slice(0, 3), colour[3] * opacity], under);
    const [a, b] = [light(own), light(under)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.tagName + "." + (element.getAttribute("class") ?? "") + ": " + walker.currentNode.data.trim()]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()"#;

#[test]
fn a_report_works_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let project = project();
    project.ok(["run", "films.yaml", "--out", "out", "--progress", "none"]);
    browser.width(1280);
    browser.open(&project.path("out/report.html"));
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
    let requests: Vec<&str> = browser.requests().into_iter().filter(|url| *url != "about:blank").collect();
    assert_eq!(requests.len(), 1, "the page itself alone: {requests:?}");

    nothing_is_injected(&mut browser);
    browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    everything_is_drawn_and_named(&mut browser);
    variants_sort_and_filter(&mut browser);
    mistakes_are_found(&mut browser);
    drawings_are_read_by_keyboard(&mut browser);

    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        let contrasts = browser.eval(CONTRASTS);
        let contrasts = contrasts.as_array().unwrap();
        assert!(contrasts.len() > 200, "{}", contrasts.len());
        let weak: Vec<&Value> = contrasts.iter().filter(|one| one[0].as_f64().unwrap() < 4.5).collect();
        assert!(weak.is_empty(), "{scheme}: {weak:#?}");
    }
    for width in [400, 1280] {
        browser.width(width);
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "at {width} the page is {wide} wide");
    }
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

#[test]
fn a_plot_of_runs_works_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let project = project();
    for seed in ["1", "1", "2"] {
        let out = format!("runs/{seed}{}", u8::from(project.path("runs/10").exists()));
        project.ok(["run", "films.yaml", "--out", &out, "--set", &format!("seed={seed}"), "--progress", "none"]);
    }
    project.ok(["runs", "ls", "--plot", "plot.html"]);
    browser.width(1280);
    browser.open(&project.path("plot.html"));
    let requests: Vec<&str> = browser.requests().into_iter().filter(|url| *url != "about:blank").collect();
    assert_eq!(requests.len(), 1, "the page itself alone: {requests:?}");
    browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    // six variants in three runs, the last of them with other folds
    assert_eq!(browser.eval("document.querySelectorAll('svg.trend .part').length"), 18);
    assert_eq!(browser.eval("document.querySelectorAll('svg.trend polyline').length"), 6);
    assert_eq!(browser.eval("document.querySelectorAll('svg.trend .break').length"), 1);
    browser.eval("document.querySelector('svg.trend [tabindex=\"0\"]').focus()");
    for (key, wants) in [("ArrowRight", 1), ("ArrowDown", 4), ("ArrowLeft", 3), ("ArrowUp", 0)] {
        browser.press(key);
        let at = "[...document.querySelectorAll('svg.trend .part')].indexOf(document.activeElement)";
        assert_eq!(browser.eval(at), wants, "{key}");
    }
    let told = browser.eval("document.querySelector('.told').textContent");
    assert!(told.as_str().unwrap().contains("in runs/10, ") && told.as_str().unwrap().contains("interval"), "{told}");
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        let contrasts = browser.eval(CONTRASTS);
        let weak: Vec<&Value> =
            contrasts.as_array().unwrap().iter().filter(|one| one[0].as_f64().unwrap() < 4.5).collect();
        assert!(weak.is_empty(), "{scheme}: {weak:#?}");
        // marks are told apart from the paper: WCAG 2.2, 1.4.11
        let marks = browser.eval(MARKS);
        let pale: Vec<&Value> = marks.as_array().unwrap().iter().filter(|one| one.as_f64().unwrap() < 3.0).collect();
        assert!(marks.as_array().unwrap().len() == 18 && pale.is_empty(), "{scheme}: {marks}");
    }
    for width in [400, 1280] {
        browser.width(width);
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "at {width} the page is {wide} wide");
    }
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

/// The contrast of each mark of a plot of runs with the page.
const MARKS: &str = r#"(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('svg.trend .part')].map((one) => {
    const [a, b] = [light(getComputedStyle(one).fill), paper].sort((x, y) => y - x);
    return getComputedStyle(one).fillOpacity === '1' ? (a + 0.05) / (b + 0.05) : 0;
  });
})()"#;

fn nothing_is_injected(browser: &mut Browser) {
    assert_eq!(browser.eval("document.scripts.length"), 1);
    assert_eq!(browser.eval("document.title"), "<script>alert(1)</script> & films");
    assert_eq!(
        browser.eval("document.querySelectorAll('img, iframe, object, a, base, link, #injected, main b b').length"),
        0
    );
    let handlers = "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith('on'))";
    assert_eq!(browser.words(handlers), Vec::<String>::new());
    // it is all there to be read
    let said = browser.eval("document.querySelector('.mistakes').textContent");
    let said = said.as_str().unwrap();
    assert!(said.contains("<b>good</b>") && said.contains("r<"), "{said}");
    let hidden = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n' && c != '\t');
    let all = browser.eval("document.body.textContent");
    assert!(!all.as_str().unwrap().contains(hidden));
    // a policy forbids what might slip through
    browser.eval(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.slipped = 1' }))",
    );
    assert_eq!(browser.eval("window.slipped === undefined"), true);
    browser.eval("document.scripts[1].remove()");
    let refused = browser.complaints().len();
    assert!(refused > 0, "the policy says what it refused");
    browser.events.clear();
}

fn everything_is_drawn_and_named(browser: &mut Browser) {
    let empty = "[...document.querySelectorAll('svg')].filter((one) => { const box = one.getBoundingClientRect(); return !(box.width > 0 && box.height > 0 && one.children.length); })\
         .map((one) => one.outerHTML)";
    assert_eq!(browser.words(empty), Vec::<String>::new());
    for (kind, least) in [("plan", 1), ("heat", 1), ("plot", 6), ("sweep", 1), ("strip", 6)] {
        let drawn = browser.eval(&format!("document.querySelectorAll('svg.{kind}').length"));
        assert!(drawn.as_u64().unwrap() >= least, "{kind}: {drawn}");
    }
    // what was folded away has its controls too
    assert_eq!(browser.eval("document.querySelectorAll('[role=search][aria-label=mistakes]').length"), 6);
    let nameless = "[...document.querySelectorAll('svg')].filter((one) => one.getAttribute('aria-hidden') !== 'true' \
         && !(one.getAttribute('aria-label') && one.querySelector('title'))).map((one) => one.outerHTML)";
    assert_eq!(browser.words(nameless), Vec::<String>::new());
    let unlabelled = "[...document.querySelectorAll('input, select, button, summary, [tabindex], [role=img], [role=region]')]\
         .filter((one) => !(one.labels?.[0]?.textContent.trim() || one.getAttribute('aria-label') || one.querySelector('title') \
         || (one.matches('button, summary, pre') && one.textContent.trim()))).map((one) => one.outerHTML)";
    assert_eq!(browser.words(unlabelled), Vec::<String>::new());
    assert_eq!(browser.eval("document.querySelectorAll('svg.plan .stage').length"), 6);
    assert_eq!(browser.eval("document.querySelectorAll('svg.plan .wire').length"), 5);
}

/// The variants in their order, those that are hidden left out.
const VARIANTS: &str = "[...document.querySelectorAll('table[data-filter] tbody tr')].filter((row) => !row.hidden)\
     .map((row) => row.querySelector('th').textContent)";

fn variants_sort_and_filter(browser: &mut Browser) {
    let ranked = browser.words(VARIANTS);
    assert_eq!(ranked.len(), 6);
    let mut named = ranked.clone();
    named.sort();
    let head = |at: usize| format!("document.querySelectorAll('table[data-filter] thead th')[{at}]");
    browser.eval(&format!("{}.querySelector('button').focus()", head(1)));
    browser.press("Enter");
    assert_eq!(browser.words(VARIANTS), named, "by keyboard");
    assert_eq!(browser.eval(&format!("{}.getAttribute('aria-sort')", head(1))), "ascending");
    browser.press("Enter");
    named.reverse();
    assert_eq!(browser.words(VARIANTS), named);
    let columns = browser.eval(
        "[...document.querySelectorAll('table[data-filter] thead th')].flatMap((one, at) => one.matches('.n') && at ? [at] : [])",
    );
    let columns: Vec<usize> =
        columns.as_array().unwrap().iter().map(|column| column.as_u64().unwrap() as usize).collect();
    assert!(columns.len() >= 5, "{columns:?}");
    for column in columns {
        browser.eval(&format!("{}.querySelector('button').click()", head(column)));
        let figures = browser.eval(&format!(
            "[...document.querySelectorAll('table[data-filter] tbody tr')].map((row) => parseFloat(row.cells[{column}]\
             .firstChild.textContent.replace('\\u2212', '-')))"
        ));
        let figures: Vec<f64> = figures.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!(figures.is_sorted_by(|a, b| a >= b), "column {column}: {figures:?}");
    }
    browser.eval(&format!("{}.querySelector('button').click()", head(0)));
    assert_eq!(browser.words(VARIANTS), ranked);

    type_into(browser, "[aria-label=variants] input", "c=100 MIN_DF=3");
    assert_eq!(browser.words(VARIANTS), ["c=100,tfidf.min_df=3"]);
    assert_eq!(browser.eval("document.querySelector('[aria-label=variants] output').textContent"), "1 of 6 variants");
    let drawn = "[...document.querySelectorAll('.strips .row')].filter((row) => row.querySelector('.who') && row.getClientRects().length).length";
    assert_eq!(browser.eval(drawn), 1);
    type_into(browser, "[aria-label=variants] input", "");
    assert_eq!(browser.words(VARIANTS), ranked);
}

/// The mistakes of the best variant: text, what it is, what it was taken for, score; those that are hidden left out.
fn mistakes(browser: &mut Browser) -> Vec<(String, String, f64)> {
    let shown = browser.eval(
        "[...document.querySelector('ol.mistakes').children].filter((one) => one.getClientRects().length)\
         .map((one) => [one.textContent, one.querySelector('b').textContent, Number(one.dataset.score)])",
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    shown.as_array().unwrap().iter().map(|one| (text(&one[0]), text(&one[1]), one[2].as_f64().unwrap())).collect()
}

fn mistakes_are_found(browser: &mut Browser) {
    let all = mistakes(browser);
    assert!(all.len() > 5, "{all:?}");
    assert!(all.is_sorted_by(|a, b| a.2 >= b.2), "surest first");
    let tools = |control: &str| format!("[aria-label=mistakes] label:nth-of-type({control}");
    type_into(browser, &tools("1) input"), "<SCRIPT>");
    let found = mistakes(browser);
    assert!(!found.is_empty() && found.len() < all.len());
    assert!(found.iter().all(|(text, ..)| text.contains("<script>")), "{found:?}");
    assert!(browser.eval("CSS.highlights.get('found').size").as_u64().unwrap() >= found.len() as u64);
    type_into(browser, &tools("1) input"), "");

    type_into(browser, &tools("2) select"), "=<b>good</b>");
    let good = mistakes(browser);
    assert!(good.len() < all.len() && good.iter().all(|(_, label, _)| label == "<b>good</b>"), "{good:?}");
    type_into(browser, &tools("2) select"), "");

    let middle = all[all.len() / 2].2;
    type_into(browser, &tools("4) input"), &middle.to_string());
    let sure = mistakes(browser);
    assert_eq!(sure.len(), all.iter().filter(|one| one.2 >= middle).count());
    type_into(browser, &tools("4) input"), "");
    type_into(browser, &tools("6) select"), "up");
    let mut turned = all.clone();
    turned.reverse();
    assert_eq!(mistakes(browser), turned);
    type_into(browser, &tools("6) select"), "");
    assert_eq!(mistakes(browser), all);
}

fn drawings_are_read_by_keyboard(browser: &mut Browser) {
    browser.eval("document.querySelector('svg.heat [tabindex=\"0\"]').focus()");
    let first = browser.eval("document.activeElement.querySelector('title').textContent");
    for (key, wants) in [("ArrowRight", 1), ("ArrowDown", 3), ("ArrowLeft", 2), ("ArrowUp", 0)] {
        browser.press(key);
        let at =
            "[...document.querySelectorAll('svg.heat')[0].querySelectorAll('.part')].indexOf(document.activeElement)";
        assert_eq!(browser.eval(at), wants, "{key}");
    }
    let told = browser.eval("document.querySelector('svg.heat').closest('figure').querySelector('.told').textContent");
    assert_eq!(told, first);
    assert!(
        told.as_str().unwrap().contains("taken for") && told.as_str().unwrap().contains("% of the label"),
        "{told}"
    );
    assert_eq!(browser.eval("document.querySelectorAll('svg.heat')[0].querySelectorAll('[tabindex=\"0\"]').length"), 1);
}

/// Gives the first control that matches a value, as a person would.
fn type_into(browser: &mut Browser, selector: &str, value: &str) {
    let (selector, value) = (json!(selector), json!(value));
    browser.eval(&format!(
        "(() => {{ const one = document.querySelector({selector}); one.value = {value}; \
         one.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    ));
}
