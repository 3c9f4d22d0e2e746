(() => {
  "use strict";
  const main = document.querySelector("main");
  const form = document.querySelector("form");
  const kept = "link " + main.dataset.open; // while the person signs in, in this tab alone
  let code = "";
  let timer = 0;

  // take takes the code out of the address, and out of what this tab kept.
  const take = () => {
    const found = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    let before = null;
    try {
      before = sessionStorage.getItem(kept);
      sessionStorage.removeItem(kept);
    } catch {
      // storage is off: then there is nothing in it
    }
    return found || before || "";
  };

  const show = (state) => {
    clearTimeout(timer);
    for (const section of document.querySelectorAll("section")) section.hidden = section.dataset.state !== state;
    form.hidden = state !== "act" && state !== "own";
    if (form.hidden) form.code.value = "";
    const heading = document.querySelector("section:not([hidden]) h1");
    document.title = heading.textContent;
    heading.tabIndex = -1;
    heading.focus();
  };

  const fill = (name, text) => {
    for (const place of document.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = text;
  };

  const offer = (seen) => {
    fill("user", seen.user_id);
    if (seen.actor) {
      fill("actor", seen.actor.sub);
      fill("issuer", seen.actor.iss);
    }
    if (seen.reason) fill("reason", seen.reason);
    const until = new Date(Date.now() + seen.expires_in * 1000);
    fill("until", until.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
    show(seen.is_impersonation ? "act" : "own");
    form.code.value = code;
    timer = setTimeout(() => show("over"), seen.link_expires_in * 1000);
  };

  const look = async () => {
    if (!code) return show("none");
    show("wait");
    try {
      const answer = await fetch(main.dataset.open + "/preview", {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ code }),
        cache: "no-store",
        redirect: "error",
      });
      const seen = await answer.json();
      if (answer.ok) return offer(seen);
      if (seen.code === "sign_in_required" && main.dataset.signIn) return show("sign-in");
      if (seen.code === "wrong_host") return show("elsewhere");
      return show(answer.status < 500 ? "over" : "down");
    } catch {
      return show("down");
    }
  };

  const begin = () => {
    code = take();
    look();
  };

  document.querySelector('[data-do="again"]').addEventListener("click", look);
  document.querySelector('[data-do="sign-in"]').addEventListener("click", () => {
    try {
      sessionStorage.setItem(kept, code);
    } catch {
      // storage is off: the link has to be opened again
    }
    location.assign(main.dataset.signIn + "?return_to=" + encodeURIComponent(main.dataset.open));
  });
  form.addEventListener("submit", () => {
    form.querySelector("button").disabled = true;
  });
  addEventListener("hashchange", () => {
    if (location.hash.length > 1) begin(); // another link, in the same tab
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    form.querySelector("button").disabled = false;
    look(); // it may be over by now
  });
  begin();
})();
