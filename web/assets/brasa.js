// Draws pages again as things change, asks before what cannot be undone, and logs in by a link.
// Pages work without it.
"use strict";

const main = () => document.getElementById("main");

// Somebody who writes, chooses or marks text is not disturbed.
function isBusy() {
  const active = document.activeElement;
  const writes = active && main().contains(active) && active.matches("input, select, textarea, button, [tabindex]");
  const marks = !document.getSelection().isCollapsed;
  const drafts = [...main().querySelectorAll("input, textarea")].some((one) => one.value !== one.defaultValue);
  return Boolean(writes || marks || drafts || document.hidden);
}

// What the keyboard is at, as it can be found again in a page that is drawn anew.
function place() {
  const active = document.activeElement;
  if (active?.matches("summary") && active.parentElement.id) return `#${CSS.escape(active.parentElement.id)} > summary`;
  return active?.matches("main a[href]") ? `main a[href="${CSS.escape(active.getAttribute("href"))}"]` : "";
}

async function draw() {
  if (isBusy()) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected) location.assign(answer.url);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  // Whoever began to write while it was on its way keeps what is written.
  if (!fresh || isBusy()) return;
  const open = new Set([...main().querySelectorAll("details[open][id]")].map((one) => one.id));
  for (const one of fresh.querySelectorAll("details[id]")) one.open = open.has(one.id);
  const at = place();
  main().replaceChildren(...fresh.childNodes);
  if (fresh.dataset.live) main().dataset.live = fresh.dataset.live;
  else rest();
  if (at) document.querySelector(at)?.focus({ preventScroll: true });
}

const light = document.querySelector(".live");
let events;

function again() {
  return draw().catch(() => light?.classList.add("away"));
}

function follow() {
  events = new EventSource("/events");
  events.onopen = () => {
    light?.classList.remove("away");
    // What the page lacks may have been found before anybody could be told.
    if (main().dataset.live === "soon") again();
  };
  events.onerror = () => light?.classList.add("away");
  events.addEventListener("change", again);
}

// The page is whole, and shows one moment from now on.
function rest() {
  delete main().dataset.live;
  light?.setAttribute("hidden", "");
  events.close();
}

// On a narrow screen the page that is shown may stand beside what is seen of the menu. The menu is moved and not the
// link brought into view: the keyboard would begin behind it then, and not at the top of the page.
const menu = document.querySelector(".menu");
const here = menu?.querySelector("[aria-current]");
if (here) menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.clientWidth) / 2;

document.addEventListener("submit", (event) => {
  const ask = event.target.dataset.ask;
  if (ask && !window.confirm(ask)) event.preventDefault();
});

// The token behind `#` is not sent by browsers, and leaves the address before anybody sees it there.
const entrance = document.querySelector("form[data-login]");
if (entrance && location.hash.length > 1) {
  entrance.elements.token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  entrance.requestSubmit();
}

if (main()?.dataset.live) follow();
