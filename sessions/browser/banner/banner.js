(() => {
  "use strict";
  const text = {
    label: "Impersonation",
    acting: "Acting as",
    someone: "another user",
    by: "by",
    reason: "Reason:",
    left: (time) => `${time} left`,
    idle: (time) => `${time} left if you do nothing`,
    minutes: (n) => (n === 1 ? "One minute left" : `${n} minutes left`),
    up: "Move to the top",
    down: "Move to the bottom",
    aside: "Move aside",
    back: "Show the bar",
    stop: "Stop",
    over: "This impersonation has ended",
    overMore: "Unsaved changes on this page are lost. You will be redirected in a moment.",
    other: "Another session has started",
    otherMore: "This page belongs to an earlier one.",
    go: "Continue",
  };
  const style = `
:host { all: initial !important; position: fixed !important; inset: 0 !important; z-index: 2147483647 !important; display: block !important; pointer-events: none !important; color-scheme: light dark !important }
@media print { :host { display: none !important } }
* { box-sizing: border-box }
.all { --text: #3a2300; --back: #fff4d6; --edge: #b45309; --on: #fff; position: absolute; inset: 0; font: .9375em/1.4 system-ui, sans-serif; color: var(--text); border: 3px solid var(--edge) }
@media (prefers-color-scheme: dark) { .all { --text: #ffeec2; --back: #33260a; --edge: #f2b134; --on: #241a00 } }
.place { position: absolute; inset-inline: 0; inset-block-end: .75em; padding-inline: .75em; display: flex; justify-content: center }
.top .place { inset-block: .75em auto }
.aside .place { inset-block-end: 0; justify-content: flex-end }
.aside.top .place { inset-block: 0 auto }
.panel, .tab { pointer-events: auto; background: var(--back); border: 2px solid var(--edge); box-shadow: 0 4px 20px #0004 }
.panel { max-inline-size: 52em; max-block-size: 70vh; overflow: auto; display: flex; flex-wrap: wrap; align-items: center; gap: .5em 1em; padding-block: .625em; padding-inline: 1em .75em; border-radius: .75em }
.aside .panel, .all:not(.aside) .tab { display: none }
.said { flex: 1 1 14em; min-inline-size: 0 }
p { margin: 0; overflow-wrap: anywhere }
p, h2, .left, .name { unicode-bidi: plaintext; text-align: match-parent }
.user { font-weight: 700 }
.why { font-size: .875em; max-block-size: 4.9em; overflow: auto }
.left { font-variant-numeric: tabular-nums; font-weight: 600 }
.do { display: flex; gap: .375em; align-items: center; margin-inline-start: auto }
form { margin: 0 }
button { font: inherit; font-weight: 600; color: inherit; cursor: pointer; min-block-size: 2.5em; min-inline-size: 2.5em; border: 1px solid transparent; border-radius: .5em; background: none }
button:hover { background: color-mix(in srgb, var(--edge) 22%, transparent) }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 1px }
.stop, .stop:hover { padding-inline: 1.125em; background: var(--edge); color: var(--on); border-color: var(--edge) }
.icon::before { content: ""; display: inline-block; inline-size: .5em; block-size: .5em; border: solid; border-width: 2px 0 0 2px; transform: translateY(25%) rotate(45deg) }
.top .flip::before { transform: translateY(-25%) rotate(225deg) }
.off::before { block-size: 0; inline-size: .75em; border-width: 2px 0 0; transform: none; vertical-align: middle }
.tab { max-inline-size: min(22em, 80vw); padding-inline: .875em; display: flex; gap: .5em; align-items: center; border-radius: .5em .5em 0 0; border-block-end: 0 }
.tab:hover { background: var(--back); text-decoration: underline }
.top .tab { border-radius: 0 0 .5em .5em; border-block: 0 2px solid }
.tab .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.tab .left { flex: none }
.live { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
dialog { pointer-events: auto; max-inline-size: min(26em, 100% - 2em); padding: 1.75em; color: var(--text); background: var(--back); border: 2px solid var(--edge); border-radius: .75em; font: inherit }
dialog::backdrop { background: #0009; backdrop-filter: blur(6px) }
h2 { margin: 0 0 .5em; font-size: 1.25em; line-height: 1.3 }
h2:focus { outline: 0 }
dialog p { margin-block-end: 1.25em }
@media (max-width: 30em) { .place { padding-inline: .5em } .panel { inline-size: 100% } .do { margin-inline-start: 0; inline-size: 100% } .do form { flex: 1; display: flex } .do .stop { flex: 1 } }
@media (forced-colors: active) { .all, .panel, .tab { border-color: Highlight } button { border-color: ButtonBorder } }
`;
  // read is a member of the document, whatever elements of the page are called: one of that name hides
  // it (HTML Standard, section 3.1.6), and users of an app can leave such elements there.
  const read = (name) => Reflect.get(Document.prototype, name, document);
  const own = read("currentScript");
  const mark = Symbol.for("auth-sessions-bar");
  if (!own || self !== top || window[mark]) return;
  const script = new URL(own.src);
  if (script.origin !== location.origin) return; // of a <base>: it is not this site's
  window[mark] = true;
  const base = script.origin + script.pathname.replace(/\/banner\.js$/, "");
  const pause = 700; // milliseconds between questions, so that an end is seen within a second
  const away = 6000; // until a page is left whose session is over
  const kept = "auth-sessions-bar";
  let session = ""; // that the page is of
  let state = null; // what is known of it
  let asked = 0; // when
  let said = Infinity; // minutes left, as they were announced
  let over = false;
  let timer = 0;

  const make = (tag, set, ...children) => {
    const e = read("createElement").call(document, tag);
    for (const [name, value] of Object.entries(set)) {
      if (name === "onclick") e.addEventListener("click", value);
      else e.setAttribute(name, value);
    }
    e.append(...children);
    return e;
  };
  const fields = () => [
    make("input", { type: "hidden", name: "return_to", value: "/" }),
    make("input", { type: "hidden", name: "impersonation", value: "true" }), // never one's own session
  ];
  const form = (name) => make("form", { method: "post", action: base + "/close" }, ...fields(), make("button", { class: "stop" }, name));

  const user = make("bdi", { class: "user" }, text.someone);
  const why = make("p", { class: "why" });
  const left = [make("span", { class: "left", role: "timer" }), make("span", { class: "left" })];
  const name = make("bdi", {}, text.someone);
  const live = make("p", { class: "live", role: "status" });
  const flip = make("button", { type: "button", class: "icon flip", onclick: () => put(!at.top, false) });
  const off = make("button", { type: "button", class: "icon off", "aria-label": text.aside, title: text.aside, onclick: () => put(at.top, true) });
  const tab = make("button", { type: "button", class: "tab", "aria-expanded": "false", title: text.back, onclick: () => put(at.top, false) },
    make("span", { class: "name" }, text.acting + " ", name), left[1]);
  const controls = make("span", { class: "do" }, flip, off);
  const panel = make("div", { class: "panel" },
    make("div", { class: "said" }, make("p", {}, text.acting + " ", user), why), left[0], controls);
  const all = make("div", { class: "all", lang: "en", role: "region", "aria-label": text.label }, make("div", { class: "place" }, panel, tab), live);
  const host = make("auth-sessions-bar", {});
  const root = host.attachShadow({ mode: "closed" });
  const sheet = new CSSStyleSheet(); // no policy for styles is in its way
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];
  root.append(all);

  const at = { top: false, aside: false };
  const place = () => {
    all.classList.toggle("top", at.top);
    all.classList.toggle("aside", at.aside);
    const label = at.top ? text.down : text.up;
    flip.setAttribute("aria-label", label);
    flip.title = label;
  };
  const put = (top, aside) => {
    const moved = at.aside !== aside;
    Object.assign(at, { top, aside });
    place();
    if (moved) (aside ? tab : off).focus();
    try {
      sessionStorage.setItem(kept, JSON.stringify(at));
    } catch {
      // storage is off: the next page has it at the bottom
    }
  };
  try {
    const before = JSON.parse(sessionStorage.getItem(kept)) || {};
    at.top = before.top === true;
    at.aside = before.aside === true;
  } catch {
    // nothing that we kept
  }
  place();
  all.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the keys of the bar are no shortcuts of the app
    if (event.key === "Escape" && !over && !at.aside) put(at.top, true);
  });

  const clock = (seconds) => {
    const two = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };
  const attach = () => {
    if (!host.isConnected) read("body")?.append(host);
  };
  const draw = () => {
    if (session) attach(); // again, where the app replaced its page
    if (over || !state) return;
    const gone = (performance.now() - asked) / 1000;
    const [end, idle] = [state.expires_in, state.idle_expires_in].map((n) => Math.max(0, Math.ceil(n - gone)));
    const soon = idle < end && idle <= 120;
    left[0].textContent = soon ? text.idle(clock(idle)) : text.left(clock(end));
    left[1].textContent = clock(soon ? idle : end);
    const minutes = Math.ceil(Math.min(end, idle) / 60);
    if (minutes < said && (minutes === 5 || minutes === 1)) live.textContent = text.minutes(minutes);
    said = minutes;
    if (!end || !idle) finish(text.over, text.overMore, leave());
  };
  const begun = (id) => {
    session = id;
    controls.append(form(text.stop));
    attach();
  };
  const show = (seen) => {
    if (!session) begun(seen.session_id);
    if (!state) {
      user.textContent = name.textContent = seen.user_id;
      why.append(text.by + " ", make("bdi", {}, seen.actor.sub));
      if (seen.reason) why.append(" · " + text.reason + " ", make("bdi", {}, seen.reason));
      setTimeout(() => (live.textContent ||= `${text.acting} ${seen.user_id}`), 500);
    }
    state = seen;
    asked = performance.now();
    draw();
  };

  // leave is the way from a page whose session is over.
  const leave = () => {
    const f = form(text.go);
    setTimeout(() => f.submit(), away);
    return f;
  };
  const reload = () => make("button", { type: "button", class: "stop", onclick: () => location.reload() }, text.go);
  const finish = (title, more, way) => {
    over = true;
    clearTimeout(timer);
    const heading = make("h2", { id: "over", tabindex: "-1" }, title);
    const dialog = make("dialog", { "aria-labelledby": "over" }, heading, make("p", {}, more), way);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => dialog.showModal());
    all.append(dialog);
    attach();
    dialog.showModal();
    heading.focus();
  };

  const ask = async () => {
    try {
      const answer = await fetch(base + "/banner", { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(5000) });
      if (answer.status === 204) return null;
      if (answer.ok) return await answer.json();
    } catch {
      // it cannot be known now
    }
    return undefined;
  };
  const tick = async () => {
    clearTimeout(timer);
    if (read("visibilityState") === "hidden" || over) return; // whoever comes back asks
    const seen = await ask();
    if (over) return;
    if (seen && (!session || seen.session_id === session)) show(seen);
    else if (seen) return finish(text.other, text.otherMore, reload());
    else if (seen === null && session) return finish(text.over, text.overMore, leave());
    else if (seen === null) return; // nobody acts here
    clearTimeout(timer);
    timer = setTimeout(tick, seen ? pause : 4 * pause);
  };
  const begin = () => {
    if (own.dataset.session) begun(own.dataset.session);
    tick();
    setInterval(draw, 1000);
  };
  addEventListener("visibilitychange", tick, true);
  addEventListener("pageshow", (event) => event.persisted && tick());
  if (read("readyState") === "loading") addEventListener("DOMContentLoaded", begin, { once: true });
  else begin();
})();
